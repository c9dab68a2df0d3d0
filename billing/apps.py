from importlib import import_module

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Billing: tariffs, ledger, bills"

    def ready(self) -> None:
        import_module("billing.price_jobs")
