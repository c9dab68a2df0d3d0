from django.urls import path

from fleet.views import battery, schedules

app_name = "fleet"
urlpatterns = [
    path("battery/", battery.battery, name="battery"),
    path("battery/<int:vehicle_id>/", battery.battery_vehicle, name="battery-vehicle"),
    path("cards/battery", battery.card, name="card-battery"),
    path("schedules/", schedules.schedules, name="schedules"),
    path("schedules/template.csv", schedules.template, name="schedule-template"),
    path("schedules/schedule.csv", schedules.download, name="schedule-download"),
    path("schedules/upload/", schedules.upload, name="schedule-upload"),
    path("schedules/upload/<int:batch_id>/", schedules.preview, name="schedule-preview"),
    path("schedules/upload/<int:batch_id>/save/", schedules.save, name="schedule-save"),
]
