from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RoofConfig(AppConfig):
    name = "depot.project"
    label = "roof"
    verbose_name = _("The roof over the apps")
