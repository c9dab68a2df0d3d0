"""Let the names that models bear be said in the language of who reads them: their own, their fields', choices', helps.

They stand in the models in English; each is looked up in the catalogue when it is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.db.models import Choices, Field, Model
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

APPS = frozenset({"depot", "fleet", "billing", "charging"})


def translate_names(sender: type[Model], **_: Any) -> None:
    """Make the names of a model of the product ones that are looked up when shown; of others, change nothing."""
    if sender._meta.app_label not in APPS:
        return
    plural = str(sender._meta.verbose_name_plural)
    sender._meta.verbose_name = _looked_up(sender._meta.verbose_name)
    sender._meta.verbose_name_plural = _looked_up(plural)
    for field in own_fields(sender):
        field.verbose_name = _looked_up(field.verbose_name)
        field.help_text = _looked_up(field.help_text)
        if field.choices:
            field.choices = [(value, _looked_up(label)) for value, label in field.choices]
    for member in (member for choices in _choices_beside(sender) for member in choices):
        member._label_ = _looked_up(member.label)  # type: ignore[attr-defined]


def own_fields(model: type[Model]) -> Iterator[Field]:
    """Return the fields of a model that people read the names of."""
    return (field for field in model._meta.local_fields if not field.auto_created)


def _choices_beside(model: type[Model]) -> Iterator[type[Choices]]:
    """Return the choices that are written in a model, or beside it in its module; a migration's model has none."""
    for holder in (model, sys.modules.get(model.__module__, model)):
        for thing in vars(holder).values():
            if isinstance(thing, type) and issubclass(thing, Choices):
                yield thing


def names_of(model: type[Model]) -> Iterator[str]:
    """Return in English every name that a model bears."""
    yield str(model._meta.verbose_name)
    yield str(model._meta.verbose_name_plural)
    for field in own_fields(model):
        yield str(field.verbose_name)
        if field.help_text:
            yield str(field.help_text)
        yield from (str(label) for _, label in field.choices or ())


def _looked_up(name: Any) -> Any:
    return name if isinstance(name, Promise) or not name else gettext_lazy(name)
