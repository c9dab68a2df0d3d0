from django.urls import path

from billing.views import (
    bills,
    bills_reconcile,
    cards,
    programmes,
    savings,
    tariff_compare,
    tariff_prices,
    tariffs,
)

app_name = "billing"
urlpatterns = [
    path("cards/money", cards.money, name="card-money"),
    path("bills/", bills.bills, name="bills"),
    path("bills/<str:month>/", bills.bill, name="bill"),
    path("bills/<str:month>/bill.csv", bills.lines_file, name="bill-csv"),
    path("bills/<str:month>/bill.pdf", bills.document, name="bill-pdf"),
    path("bills/<str:month>/inputs.zip", bills.inputs, name="bill-inputs"),
    path("bills/<str:month>/close", bills.close, name="bill-close"),
    path("bills/<str:month>/correct", bills.correct, name="bill-correct"),
    path("bills/<str:month>/reconcile", bills_reconcile.reconcile, name="bill-reconcile"),
    path("savings/", savings.savings, name="savings"),
    path("savings/<str:month>/statement.csv", savings.statement_file, name="savings-statement"),
    path("savings/<str:month>/statement.pdf", savings.document, name="savings-document"),
    path("savings/<str:month>/bills.csv", savings.bill_lines, name="savings-bills"),
    path("savings/<str:month>/intervals.csv", savings.intervals, name="savings-intervals"),
    path("programmes/", programmes.programmes, name="programmes"),
    path("programmes/<int:event_id>/delete", programmes.delete, name="programme-event-delete"),
    path("tariffs/", tariffs.tariffs, name="tariffs"),
    path("tariffs/new/", tariffs.new_version, name="tariff-new"),
    path("tariffs/<int:tariff_id>/", tariffs.version, name="tariff"),
    path("tariffs/<int:tariff_id>/edit/", tariffs.edit_version, name="tariff-edit"),
    path("tariffs/<int:tariff_id>/last-month/", tariffs.month_bill, name="tariff-month"),
    path("tariffs/compare/", tariff_compare.compare, name="tariff-compare"),
    path("tariffs/compare/<uuid:job_id>/", tariff_compare.comparison, name="tariff-comparison"),
    path("tariffs/prices/", tariff_prices.upload, name="prices-upload"),
    path("tariffs/prices/source/", tariff_prices.source, name="prices-source"),
    path("tariffs/prices/<int:batch_id>/", tariff_prices.check, name="prices-check"),
    path("tariffs/prices/<int:batch_id>/save/", tariff_prices.save, name="prices-save"),
]
