from django.db import migrations, models
from django.db.models import F


def take_the_measured_end(apps, schema_editor):
    apps.get_model("fleet", "MeasuredTrip").objects.update(pull_in_at=F("in_at"))


class Migration(migrations.Migration):
    dependencies = [("fleet", "0010_telematics_feeds")]

    operations = [
        migrations.AddField(
            "measuredtrip", "pull_in_at", models.DateTimeField(help_text="As scheduled.", null=True)
        ),
        migrations.RunPython(take_the_measured_end, migrations.RunPython.noop),
        migrations.AlterField(
            "measuredtrip", "pull_in_at", models.DateTimeField(help_text="As scheduled.")
        ),
    ]
