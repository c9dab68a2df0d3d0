from importlib import import_module

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = _("Billing: tariffs, ledger, bills")

    def ready(self) -> None:
        import_module("billing.price_jobs")
