from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import class_prepared
from django.utils.module_loading import autodiscover_modules
from django.utils.translation import gettext_lazy as _

from depot.names import translate_names

class_prepared.connect(translate_names)  # before any model is made


class DepotConfig(AppConfig):
    name = "depot"
    verbose_name = _("Depot: site, people, work")

    def ready(self) -> None:
        import_module("depot.jobs.forecasts")
        import_module("depot.jobs.webhooks")
        autodiscover_modules("jobs")
