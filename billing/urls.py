from django.urls import path

from billing.views import cards, savings

app_name = "billing"
urlpatterns = [
    path("cards/money", cards.money, name="card-money"),
    path("savings/", savings.savings, name="savings"),
    path("savings/<str:month>/bills.csv", savings.bill_lines, name="savings-bills"),
    path("savings/<str:month>/intervals.csv", savings.intervals, name="savings-intervals"),
]
