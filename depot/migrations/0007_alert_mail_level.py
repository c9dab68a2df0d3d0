from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("depot", "0006_webhooks")]

    operations = [
        migrations.AddField(
            model_name="alertmail",
            name="level",
            field=models.CharField(
                choices=[("info", "For information"), ("warning", "Needs attention"), ("critical", "Act now")],
                default="critical",
                help_text="As it was written about.",
                max_length=10,
            ),
        ),
    ]
