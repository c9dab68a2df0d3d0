"""What managed charging saved: the counterfactual, the site's meter, and the waterfall between two bills."""

from billing.savings.charge_only import ChargeOnly, charge_only, moved_site, solar_self_use
from billing.savings.counterfactual import Baseline, Session, unmanaged
from billing.savings.site import SitePower, site_power
from billing.savings.waterfall import Step, Waterfall, waterfall, with_solar

__all__ = [
    "Baseline",
    "ChargeOnly",
    "Session",
    "SitePower",
    "Step",
    "Waterfall",
    "charge_only",
    "moved_site",
    "site_power",
    "solar_self_use",
    "unmanaged",
    "waterfall",
    "with_solar",
]
