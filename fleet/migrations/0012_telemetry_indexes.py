"""One index less for every reading that comes in; on PostgreSQL a small one by time, which costs nearly nothing."""

import django.db.models.deletion
from django.db import migrations, models

NAME = "telemetry_by_time"


def make(apps, editor):
    """Make a BRIN index: readings lie in the table about as they came, so a summary of page ranges finds a day."""
    if editor.connection.vendor == "postgresql":
        table = editor.quote_name(apps.get_model("fleet", "TelemetryReading")._meta.db_table)
        editor.execute(
            f"CREATE INDEX {NAME} ON {table} USING brin (observed_at)"
            " WITH (pages_per_range = 32, autosummarize = on)"
        )


def drop(apps, editor):
    """Drop it again."""
    if editor.connection.vendor == "postgresql":
        editor.execute(f"DROP INDEX IF EXISTS {NAME}")


class Migration(migrations.Migration):
    dependencies = [("fleet", "0011_measured_trip_pull_in")]

    operations = [
        migrations.AlterField(
            model_name="telemetryreading",
            name="vehicle",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="telemetry",
                to="fleet.vehicle",
            ),
        ),
        migrations.RunPython(make, drop),
    ]
