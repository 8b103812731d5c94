"""A small lens in memory."""

from datashop_assets.rating.lens import Exemplar, Lens


def small_lens(exemplars: tuple[Exemplar, ...] = (), name: str = "clarity", high: int = 5) -> Lens:
    return Lens(name, "Clarity", "How clear.", 0, high, 3.0, 4000, "Judge.", "Rate: {{ document }}", exemplars)
