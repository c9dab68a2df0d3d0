from django.urls import path

from fleet.views import battery, calendar, schedules

app_name = "fleet"
urlpatterns = [
    path("battery/", battery.battery, name="battery"),
    path("battery/<int:vehicle_id>/", battery.battery_vehicle, name="battery-vehicle"),
    path("cards/battery", battery.card, name="card-battery"),
    path("schedules/", schedules.schedules, name="schedules"),
    path("schedules/calendar/", calendar.calendar, name="calendar"),
    path("schedules/calendar/days/", calendar.set_days, name="calendar-days"),
    path("schedules/calendar/follow/", calendar.follow, name="calendar-follow"),
    path("schedules/calendar/temperature/", calendar.temperature, name="calendar-temperature"),
    path("schedules/calendar/new/", calendar.edit, name="calendar-new"),
    path("schedules/calendar/<int:calendar_id>/", calendar.edit, name="calendar-edit"),
    path("schedules/template.csv", schedules.template, name="schedule-template"),
    path("schedules/template.xlsx", schedules.template_workbook, name="schedule-template-xlsx"),
    path("schedules/settings/", schedules.settle, name="schedule-settings"),
    path("schedules/schedule.csv", schedules.download, name="schedule-download"),
    path("schedules/upload/", schedules.upload, name="schedule-upload"),
    path("schedules/upload/<int:batch_id>/", schedules.preview, name="schedule-preview"),
    path("schedules/upload/<int:batch_id>/check/", schedules.check_again, name="schedule-check"),
    path("schedules/upload/<int:batch_id>/days/", schedules.choose_days, name="schedule-days"),
    path("schedules/upload/<int:batch_id>/save/", schedules.save, name="schedule-save"),
    path("schedules/upload/<int:batch_id>/undo/", schedules.take_back, name="schedule-undo"),
    path("schedules/upload/<int:batch_id>/columns/", schedules.name_columns, name="schedule-columns"),
    path("schedules/upload/<int:batch_id>/errors.csv", schedules.errors, name="schedule-errors"),
]
