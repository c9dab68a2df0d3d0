"""Where prices (and emission factors) per interval come from: files, ENTSO-E, Nord Pool. Pure: bytes in, points out.

One module a source. Fetching over the network is `billing.services.market`.
"""

from billing.sources.points import FACTORS, Point, Series, on_grid, series_of, with_last_good

__all__ = ["FACTORS", "Point", "Series", "on_grid", "series_of", "with_last_good"]
