"""A small lens and documents in memory."""

from collections.abc import Iterable

from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import Exemplar, Lens


def small_lens(exemplars: tuple[Exemplar, ...] = (), name: str = "clarity", high: int = 5) -> Lens:
    return Lens(name, "Clarity", "How clear.", 0, high, 3.0, 4000, "Judge.", "Rate: {{ document }}", exemplars)


def documents(texts: Iterable[str]) -> list[Document]:
    """Plain documents of these texts."""
    return [Document(text) for text in texts]
