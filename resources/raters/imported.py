"""A rater that cannot be asked: its ratings were made elsewhere and imported.

What belongs here: the stand-in that lets a lens train on imported ratings. What does not: importing them
(`datashop_assets/rating/imports.py`).
"""

from collections.abc import Iterable, Iterator

from datashop_assets.project import RaterSettings
from datashop_assets.rating.imports import imported_rater
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens
from datashop_assets.seams import PermanentError


class ImportedRater:
    """Stands for the rater whose ratings were imported under `settings.model`: same id, no judgements of its own."""

    def __init__(self, settings: RaterSettings) -> None:
        self.name = settings.model
        self.id = imported_rater(settings.model)

    def rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:
        """Raises PermanentError at the first document: what has no imported rating cannot get one here."""
        for _ in documents:
            raise PermanentError(
                f"rater {self.name!r} rates elsewhere and cannot be asked. Import its ratings with `python -m "
                f"datashop_assets.rating.interchange import --lens {lens.name} --rater {self.name} FILE`; the later "
                "stages work on what is imported, `annotations` need not be materialized."
            )
        yield from ()
