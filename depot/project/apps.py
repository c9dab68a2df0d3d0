from django.apps import AppConfig


class RoofConfig(AppConfig):
    name = "depot.project"
    label = "roof"
    verbose_name = "The roof over the apps"
