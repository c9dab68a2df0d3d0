from importlib import import_module

from django.apps import AppConfig


class ChargingConfig(AppConfig):
    name = "charging"
    verbose_name = "Charging: chargers, plans, sessions"

    def ready(self) -> None:
        import_module("charging.selectors.schedule_effect")
