from django.urls import path

from depot.views import alerts, jobs

app_name = "depot"
urlpatterns = [
    path("cards/alerts", alerts.card, name="card-alerts"),
    path("cards/alert-bell", alerts.bell, name="alert-bell"),
    path("jobs/<uuid:job_id>/", jobs.status, name="job"),
]
