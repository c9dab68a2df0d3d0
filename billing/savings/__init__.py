"""What managed charging saved: the counterfactual, the site's meter, and the waterfall between two bills."""

from billing.savings.counterfactual import Baseline, Session, unmanaged
from billing.savings.site import SitePower, site_power
from billing.savings.waterfall import Step, Waterfall, waterfall

__all__ = ["Baseline", "Session", "SitePower", "Step", "Waterfall", "site_power", "unmanaged", "waterfall"]
