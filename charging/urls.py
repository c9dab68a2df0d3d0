from django.urls import path

from charging.views import home, overrides, plan

app_name = "charging"
urlpatterns = [
    path("cards/answer", home.answer, name="card-answer"),
    path("cards/readiness", home.pull_outs_card, name="card-readiness"),
    path("cards/site", home.site_card, name="card-site"),
    path("cards/connection", home.connection, name="connection"),
    path("pull-outs/", home.pull_outs, name="pull-outs"),
    path("plan/", plan.plan, name="plan"),
    path("plan/new/", plan.replan, name="replan"),
    path("plan/compare/", plan.comparison, name="plan-compare"),
    path("plan/<int:plan_id>/status", plan.status, name="plan-status"),
    path("plan/vehicle/<int:vehicle_id>/", plan.vehicle, name="plan-vehicle"),
    path("plan/vehicle/<int:vehicle_id>/order/", overrides.order, name="order"),
    path("plan/vehicle/<int:vehicle_id>/order/confirm/", overrides.confirm, name="order-confirm"),
    path("plan/orders/<int:override_id>/withdraw/", overrides.withdraw, name="order-withdraw"),
]
