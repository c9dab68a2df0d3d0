"""Write many rows of one table with little work: on PostgreSQL as one JSON text, elsewhere row by row."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any

from django.db import connection, transaction
from django.db.models import Field, Model

from depot.words import tr


def insert_new(
    model: type[Model], rows: Sequence[Mapping[str, Any]], unique: Sequence[str]
) -> set[tuple[Any, ...]]:
    """Insert rows, given by the names of all their fields but the id; one that is there already is left out.

    `unique` are the fields that tell rows apart, and of two alike the first counts; return what these fields are in
    the rows that were inserted.
    """
    told: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in rows:
        told.setdefault(tuple(row[name] for name in unique), row)
    wanted = ", ".join(_quoted(_column(model, name)) for name in unique)
    inserted = _as_json(model, [*told.values()], f"ON CONFLICT DO NOTHING RETURNING {wanted}")
    if inserted is not None:
        return set(inserted)
    within = {f"{name}__in": {row[name] for row in rows} for name in unique}
    there = set(model._default_manager.filter(**within).values_list(*unique))
    new = [model(**row) for key, row in told.items() if key not in there]
    model._default_manager.bulk_create(new, ignore_conflicts=True)
    return told.keys() - there


def insert_or_update(
    model: type[Model], rows: Sequence[Mapping[str, Any]], unique: str, update: Sequence[str]
) -> None:
    """Insert rows; of one whose field `unique` is there already, the fields of `update` are overwritten."""
    key = _column(model, unique)
    columns = [_column(model, name) for name in update]
    setting = ", ".join(f"{_quoted(column)} = EXCLUDED.{_quoted(column)}" for column in columns)
    if _as_json(model, rows, f"ON CONFLICT ({_quoted(key)}) DO UPDATE SET {setting}") is None:
        model._default_manager.bulk_create(
            [model(**row) for row in rows],
            update_conflicts=True,
            unique_fields=[unique],
            update_fields=list(update),
        )


def update_rows(model: type[Model], rows: Sequence[Model], fields: Sequence[str]) -> None:
    """Write the named fields of rows that are there, all or none."""
    if not rows:
        return
    if connection.vendor != "postgresql":
        _update_each(model, rows, fields)
        return
    written = [_field(model, name) for name in fields]
    told = [
        {"id": row.pk} | {str(field.column): getattr(row, field.attname) for field in written} for row in rows
    ]
    try:
        text = json.dumps(told, default=_text, allow_nan=False)
    except ValueError:
        _update_each(model, rows, fields)
        return
    table = _quoted(model._meta.db_table)
    columns = [_quoted(str(field.column)) for field in written]
    setting = ", ".join(f"{column} = told.{column}" for column in columns)
    statement = (
        f"UPDATE {table} SET {setting}"  # noqa: S608 - names of our own models, quoted
        f" FROM json_populate_recordset(NULL::{table}, %s) AS told WHERE {table}.id = told.id"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [text])


def _update_each(model: type[Model], rows: Sequence[Model], fields: Sequence[str]) -> None:
    """Run one prepared statement a row: Django's bulk update, one CASE a field, takes ten times as long."""
    written = [_field(model, name) for name in fields]
    setting = ", ".join(f"{_quoted(str(field.column))} = %s" for field in written)
    statement = f"UPDATE {_quoted(model._meta.db_table)} SET {setting} WHERE id = %s"  # noqa: S608 - as below
    values = [
        [*(field.get_db_prep_save(getattr(row, field.attname), connection) for field in written), row.pk]
        for row in rows
    ]
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cursor.executemany(statement, values)


def _as_json(
    model: type[Model], rows: Sequence[Mapping[str, Any]], on_conflict: str
) -> list[tuple[Any, ...]] | None:
    """Write the rows in one statement and return what it returns; None where that cannot be done here.

    Only PostgreSQL can, and JSON has no infinite numbers. Django makes one array a column and dumps every cell by
    itself, which was a third of a batch's time.
    """
    if not rows:
        return []
    if connection.vendor != "postgresql":
        return None
    table = _quoted(model._meta.db_table)
    columns = ", ".join(_quoted(_column(model, name)) for name in rows[0])
    try:
        text = json.dumps([_by_column(model, row) for row in rows], default=_text, allow_nan=False)
    except ValueError:
        return None
    statement = (
        f"INSERT INTO {table} ({columns})"  # noqa: S608 - names of our own models, quoted
        f" SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s) {on_conflict}"
    )
    with connection.cursor() as cursor:
        cursor.execute(statement, [text])
        return list(cursor.fetchall()) if cursor.description else []


def _by_column(model: type[Model], row: Mapping[str, Any]) -> dict[str, Any]:
    columns = _columns(model)
    return {columns[name]: value for name, value in row.items()}


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(tr("{value!r} is no value of a row.", value=value))


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _column(model: type[Model], name: str) -> str:
    return str(_field(model, name).column)


def _field(model: type[Model], name: str) -> Field[Any, Any]:
    """Return a field; a foreign key may be named as its id is."""
    fields = _fields(model)
    if name not in fields:
        raise ValueError(tr("{name} has no field {name2!r}.", name=model.__name__, name2=name))
    return fields[name]


@cache
def _columns(model: type[Model]) -> dict[str, str]:
    return {name: str(field.column) for name, field in _fields(model).items()}


@cache
def _fields(model: type[Model]) -> dict[str, Field[Any, Any]]:
    return {name: field for field in model._meta.concrete_fields for name in (field.name, field.attname)}
