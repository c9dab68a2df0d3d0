"""On PostgreSQL, readings lie in a partition for each month; on SQLite they stay one table."""

from datetime import UTC, datetime

from django.db import migrations

from depot.partitions import split, unite


def by_month(apps, editor):
    """Split the table; see depot/partitions.py."""
    if editor.connection.vendor == "postgresql":
        split(editor.connection, apps.get_model("fleet", "TelemetryReading")._meta.db_table, datetime.now(UTC))


def one_table(apps, editor):
    """Make it one again."""
    if editor.connection.vendor == "postgresql":
        unite(editor.connection, apps.get_model("fleet", "TelemetryReading")._meta.db_table)


class Migration(migrations.Migration):
    dependencies = [("fleet", "0013_ingest_log")]

    operations = [migrations.RunPython(by_month, one_table)]
