from django.db import migrations, models

from depot.access.sealing import seal, unseal

PURPOSE = "depot.meter_source"


def seal_all(apps, schema_editor):
    """Seal the passwords that were kept readable; copies in earlier backups stay readable."""
    for source in apps.get_model("depot", "MeterSource").objects.exclude(sealed_password=""):
        source.sealed_password = seal(source.sealed_password, PURPOSE)
        source.save(update_fields=["sealed_password"])


def open_all(apps, schema_editor):
    for source in apps.get_model("depot", "MeterSource").objects.exclude(sealed_password=""):
        source.sealed_password = unseal(source.sealed_password, PURPOSE)
        source.save(update_fields=["sealed_password"])


class Migration(migrations.Migration):
    dependencies = [("depot", "0007_alert_mail_level")]

    operations = [
        migrations.RenameField("metersource", "password", "sealed_password"),
        migrations.AlterField(
            model_name="metersource",
            name="sealed_password",
            field=models.TextField(blank=True, editable=False, help_text="As the database may hold it."),
        ),
        migrations.RunPython(seal_all, open_all),
    ]
