"""The facts that a release tells of itself, in its manifest and on its card.

What belongs here: what a release was cut from, and what was written. What does not: the words around them (`card.py`),
writing (`release.py`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from datashop_assets.estimate import Estimate
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.rating.lens import Lens
from datashop_assets.release_settings import ReleaseSettings


@dataclass(frozen=True)
class ReleaseFacts:
    """What a release was cut from.

    `release` is its content id, `rater` names the model whose ratings the classifier learnt, `quality` are the
    classifier's held-out metrics, `tables` the version of each table that was read.
    """

    release: str
    lens: Lens
    cutoff: CutoffRecord
    rater: str
    quality: Mapping[str, Estimate]
    tables: Mapping[str, int]
    settings: ReleaseSettings = field(default_factory=ReleaseSettings)


@dataclass(frozen=True)
class Tokenized:
    """What the token files hold, and by which tokenizer: its name for people, and the id of what it does."""

    tokenizer: str
    tokenizer_id: str
    vocabulary: int
    eos: int
    dtype: str
    tokens: int


@dataclass(frozen=True)
class Contents:
    """What was written: the bytes of the text in UTF-8, documents by (source, licence), by integer score and by file.

    A licence is null where it is unknown. `characters_removed` were cut out of texts; `tokenized` is null without token
    files.
    """

    text_bytes: int
    origins: Mapping[tuple[str, str | None], int]
    int_scores: Mapping[int, int]
    file_rows: tuple[int, ...]
    characters_removed: int = 0
    tokenized: Tokenized | None = None

    @property
    def documents(self) -> int:
        return sum(self.origins.values())

    @property
    def sources(self) -> Counter[str]:
        counts: Counter[str] = Counter()
        for (source, _), documents in self.origins.items():
            counts[source] += documents
        return counts

    @property
    def licenses(self) -> Counter[str | None]:
        counts: Counter[str | None] = Counter()
        for (_, licence), documents in self.origins.items():
            counts[licence] += documents
        return counts

    def by_origin(self) -> list[tuple[tuple[str, str | None], int]]:
        """`origins`, the largest source first, and in a source the most frequent licence."""
        sources = self.sources

        def rank(item: tuple[tuple[str, str | None], int]) -> tuple[int, str, int, bool, str]:
            (source, licence), documents = item
            return -sources[source], source, -documents, licence is None, licence or ""

        return sorted(self.origins.items(), key=rank)
