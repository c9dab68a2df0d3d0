from django.urls import path

from depot.views import alerts

app_name = "depot"
urlpatterns = [
    path("cards/alerts", alerts.card, name="card-alerts"),
    path("cards/alert-bell", alerts.bell, name="alert-bell"),
]
