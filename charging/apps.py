from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ChargingConfig(AppConfig):
    name = "charging"
    verbose_name = _("Charging: chargers, plans, sessions")

    def ready(self) -> None:
        import_module("charging.selectors.schedule_effect")
