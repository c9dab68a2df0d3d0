"""Prices and emission factors per interval: what a depot follows, and the values that came in."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from depot.models import Depot, Scoped
from depot.words import tr


class PriceSeries(Scoped):
    """One value per interval that a depot follows, and where it comes from."""

    class Kind(models.TextChoices):
        MARKET = "market", "Market price"
        EXPORT = "export", "Price of exported energy"
        CO2_AVERAGE = "co2_average", "CO₂, average of the grid"
        CO2_MARGINAL = "co2_marginal", "CO₂, marginal plant"

    class Source(models.TextChoices):
        FILE = "file", "Uploaded files"
        ENTSOE = "entsoe", "ENTSO-E Transparency Platform"
        NORDPOOL = "nordpool", "Nord Pool"

    depot = models.ForeignKey(Depot, on_delete=models.CASCADE, related_name="price_series")
    kind = models.CharField(max_length=12, choices=Kind)
    source = models.CharField(
        max_length=10, choices=Source, default=Source.FILE, help_text="Where new values come from each day."
    )
    area = models.CharField(
        max_length=20,
        blank=True,
        help_text="Bidding zone, like DE-LU or SE3 (ENTSO-E also takes the EIC code); empty for files.",
    )
    checked_at = models.DateTimeField(null=True, editable=False, help_text="When the source was last asked.")
    problem = models.CharField(
        max_length=300, blank=True, editable=False, help_text="Why the source gave nothing."
    )

    class Meta:
        ordering = ["depot", "kind"]
        verbose_name_plural = "price series"
        constraints = [
            models.UniqueConstraint(fields=["depot", "kind"], name="one_series_per_kind"),
            models.CheckConstraint(
                condition=Q(source="file") | Q(kind="market"), name="only_market_prices_are_fetched"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.get_source_display()})"

    @property
    def is_money(self) -> bool:
        """Tell whether its values are prices (in the depot's currency), not kg of CO2."""
        return self.kind in (self.Kind.MARKET, self.Kind.EXPORT)

    def clean(self) -> None:
        from billing.sources import entsoe, nordpool

        if self.source == self.Source.FILE:
            return
        if self.kind != self.Kind.MARKET:
            raise ValidationError({"source": tr("Only market prices are fetched. Choose uploaded files.")})
        if self.source == self.Source.NORDPOOL and self.area not in nordpool.AREAS:
            known = ", ".join(nordpool.AREAS)
            raise ValidationError(
                {
                    "area": tr(
                        "“{area}” is not an area of Nord Pool. Known: {known}.", area=self.area, known=known
                    )
                }
            )
        if self.source == self.Source.ENTSOE and self.area not in entsoe.AREAS and len(self.area) != 16:
            known = ", ".join(entsoe.AREAS)
            raise ValidationError(
                {
                    "area": tr(
                        "“{area}” is not a bidding zone. Write an EIC code of 16 signs, or one of {known}.",
                        area=self.area,
                        known=known,
                    )
                }
            )


class PricePoint(Scoped):
    """One interval of a series; per kWh: money in the depot's currency, or kg of CO2."""

    depot_path = "series__depot"

    series = models.ForeignKey(PriceSeries, on_delete=models.CASCADE, related_name="points")
    start_at = models.DateTimeField()
    minutes = models.PositiveSmallIntegerField()
    per_kwh = models.DecimalField(max_digits=14, decimal_places=8)
    read_at = models.DateTimeField()

    class Meta:
        ordering = ["series", "start_at"]
        constraints = [models.UniqueConstraint(fields=["series", "start_at"], name="one_point_per_moment")]

    def __str__(self) -> str:
        return f"{self.start_at:%Y-%m-%d %H:%M} {self.per_kwh}"
