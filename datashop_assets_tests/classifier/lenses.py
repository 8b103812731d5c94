"""A lens for tests that need its scale only."""

from datashop_assets.rating.lens import Lens


def lens(low: int = 0, high: int = 5, positive_at: float = 3) -> Lens:
    return Lens("teaching", "Teaching value", "How well it teaches.", low, high, positive_at, 4000, "", "", ())
