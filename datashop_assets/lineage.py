"""Wanted against have: the version of every cell, and the plan that brings the stale ones up to date. Pure.

What belongs here: how a cell's version is made from its inputs, and `plan`. What does not: reading what the tables
have (`resources/lake.py`), launching runs (`automation/`). The same functions serve the assets (skip what is at its
wanted version), the sensors and the command line.

Each stage has a recipe number, raised by hand when its code's *meaning* changes; a git hash would recompute the corpus
for a typo.
"""

import hashlib
import json
from bisect import bisect
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datashop_assets.records import Cell

EMBEDDING_RECIPE = 1
ANNOTATION_RECIPE = 1
SCORING_RECIPE = 1
FILTER_RECIPE = 1
ATTRIBUTE_RECIPE = 1


def content_id(*parts: Any, length: int = 16) -> str:
    """A stable id of JSON-able values: equal values have equal ids, in every process and release."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()[:length]


def stable_fraction(key: str) -> float:
    """A uniform number in [0, 1) that depends on the key alone, on every machine and version."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big") / 2**64


def embeddings_version(documents_version: str, encoder: str) -> str:
    return content_id("embeddings", EMBEDDING_RECIPE, documents_version, encoder)


def annotations_version(
    documents_version: str, lens_version: str, rater: str, size: int, seed: int, population: str | None = None
) -> str:
    """`population` is the filtered version of the cell whose kept documents are sampled; null: all are."""
    inside = () if population is None else (population,)
    return content_id("annotations", ANNOTATION_RECIPE, documents_version, lens_version, rater, size, seed, *inside)


def scores_version(embeddings_version: str, classifier: str) -> str:
    """The encoder, and with it the truncation of long documents, is part of the embeddings' version."""
    return content_id("scores", SCORING_RECIPE, embeddings_version, classifier)


def text_scores_version(documents_version: str, classifier: str) -> str:
    """Of a classifier that reads texts: how much of a text it reads is part of the classifier."""
    return content_id("text scores", SCORING_RECIPE, documents_version, classifier)


def attribute_version(upstream_versions: Sequence[str], classifier: str) -> str:
    """Upstream are the documents, or the scores that the attribute is made of, in a fixed order."""
    return content_id("attributes", ATTRIBUTE_RECIPE, list(upstream_versions), classifier)


def filtered_version(scores_version: str, cutoff: str, pool_only: bool) -> str:
    return content_id("filtered", FILTER_RECIPE, scores_version, cutoff, pool_only)


def supplemented(version: str, *content: Any) -> str:
    """The version of a cell that stands at `version` with more in it than its first making gave, e.g. judgements that
    failed then: another identity for whoever uses the rows, and as much up to date (see `base_version`)."""
    return f"{base_version(version)}{_SUPPLEMENT}{content_id('supplement', *content)}"


def base_version(version: str | None) -> str | None:
    """What a cell's version says of its inputs: what is compared with the wanted version."""
    return None if version is None else version.split(_SUPPLEMENT)[0]


_SUPPLEMENT = "+"


def inputs_version(versions: Mapping[str, str], *settings: Any) -> str:
    """Identity of a set of upstream cells (key -> version) together with the settings applied to them."""
    return content_id("inputs", dict(versions), *settings)


@dataclass(frozen=True)
class Rectangle:
    """A contiguous stretch of shards of one lens: the shape that one run can carry. `stale` of its cells need work."""

    lens: str | None
    first: str
    last: str
    cells: int
    stale: int


def stale_cells(wanted: Mapping[Cell, str], have: Mapping[Cell, str | None]) -> list[Cell]:
    """The wanted cells that are missing or at another version, in the order of `wanted`."""
    return [cell for cell, version in wanted.items() if base_version(have.get(cell)) != version]


def plan(
    wanted: Mapping[Cell, str],
    have: Mapping[Cell, str | None],
    shards: Sequence[str],
    *,
    ready: Collection[str] | None = None,
    max_cells: int = 256,
    max_gap: int = 3,
) -> list[Rectangle]:
    """Rectangles that together cover every stale cell, lens by lens, in shard order.

    `shards` are all shards in crawl order: a range between two of them means everything in between. A rectangle
    bridges at most `max_gap` cells that are not stale (the assets skip those), because holes are what makes many
    runs: 300 scattered shards x 8 lenses were 1,952 runs. It never bridges a shard that is not `ready` (null: all
    are), which a run could not work on, and holds at most `max_cells` cells.
    Raises ValueError where a wanted cell's shard is not among `shards`.
    """
    barriers = [index for index, shard in enumerate(shards) if ready is not None and shard not in ready]
    position = {shard: index for index, shard in enumerate(shards)}
    by_lens: dict[str | None, list[int]] = {}
    for cell in stale_cells(wanted, have):
        if cell.shard not in position:
            raise ValueError(f"cell {cell} is wanted, but its shard is not registered")
        by_lens.setdefault(cell.lens, []).append(position[cell.shard])
    return [
        Rectangle(lens, shards[stretch[0]], shards[stretch[-1]], stretch[-1] - stretch[0] + 1, len(stretch))
        for lens in sorted(by_lens, key=lambda name: name or "")
        for stretch in _stretches(sorted(by_lens[lens]), barriers, max_cells, max_gap)
    ]


def _stretches(positions: Iterable[int], barriers: Sequence[int], max_cells: int, max_gap: int) -> Iterator[list[int]]:
    stretch: list[int] = []
    for index in positions:
        far = stretch and (index - stretch[-1] - 1 > max_gap or index - stretch[0] + 1 > max_cells)
        if far or (stretch and bisect(barriers, stretch[-1]) < bisect(barriers, index - 1)):
            yield stretch
            stretch = []
        stretch.append(index)
    if stretch:
        yield stretch
