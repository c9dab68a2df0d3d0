from django.urls import path

from depot.views import alerts, audit, jobs

app_name = "depot"
urlpatterns = [
    path("cards/alerts", alerts.card, name="card-alerts"),
    path("cards/alert-bell", alerts.bell, name="alert-bell"),
    path("alerts/", alerts.page, name="alerts"),
    path("alerts/e-mail/", alerts.by_email, name="alerts-email"),
    path("alerts/<int:alert_id>/acknowledge/", alerts.see_to, name="alert-acknowledge"),
    path("alerts/<int:alert_id>/snooze/", alerts.put_aside, name="alert-snooze"),
    path("audit/", audit.page, name="audit"),
    path("audit.csv", audit.file, name="audit-csv"),
    path("jobs/<uuid:job_id>/", jobs.status, name="job"),
    path("jobs/<uuid:job_id>/cancel/", jobs.stop, name="job-cancel"),
]
