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
    return hashlib.sha256(_JSON.encode(parts).encode()).hexdigest()[:length]


_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False)


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


@dataclass(frozen=True)
class RunLimits:
    """What one run may cover.

    A run takes some 10 s to start. A fresh cell that it bridges takes some 40 ms in the run, and the daemon submits it
    before: 13 ms on SQLite on a quiet machine (27 s for 2,048 cells, one run); under the load of many other processes
    68 ms there and 27 ms on PostgreSQL (medians of five runs of 256 cells). So `gap` fresh cells cost 14 to 28 s, up to
    three starts: what that buys is few runs, for the queue's slots and for the people who read the list of runs. Up to
    90 (SQLite, loaded) to 190 fresh cells in a row (SQLite, quiet) bridging is the cheaper one in time, too.

    `stale` bounds how much a killed run takes with it. `span`, all cells, bounds what one submission holds up: 33 s to
    three minutes by the figures above. With these limits 300 scattered shards of 10,000 are 4 runs in nine draws of ten
    and at most 6 (1,000 draws), where no fewer than 2 could hold them; half the `gap` made up to 15 of them.
    """

    stale: int = 256
    span: int = 2560
    gap: int = 256


def plan(
    wanted: Mapping[Cell, str],
    have: Mapping[Cell, str | None],
    shards: Sequence[str],
    *,
    ready: Collection[str] | None = None,
    newest_first: bool = False,
    largest: Mapping[str, int] | None = None,
    limits: RunLimits = RunLimits(),
) -> list[Rectangle]:
    """Rectangles that together cover every stale cell once, lens by lens, the newest or the oldest stretch first.

    `shards` are all shards in crawl order: a range between two of them means everything in between. A rectangle starts
    and ends with a stale cell, and bridges cells that are not stale (the assets skip those) within the `limits`,
    because holes are what makes many runs: 300 scattered shards x 8 lenses were 1,952 runs. It never bridges a shard
    that is not `ready` (null: all are), which a run could not work on. It covers no more cells than the least that
    `largest` says of its stale ones: so that one cell which fails does not stop hundreds.

    A lens of n shards has at most ceil(stale / limits.stale) + n / limits.span + n / limits.gap rectangles, and one
    more for each shard that is not ready and each cell that `largest` names. Every job counts the same: of those
    with two assets a skipped cell costs twice as much, and so does the start, which loads a model.
    Raises ValueError where a wanted cell's shard is not among `shards`.
    """
    position = {shard: index for index, shard in enumerate(shards)}
    barriers = [index for index, shard in enumerate(shards) if ready is not None and shard not in ready]
    bounds = {position[shard]: cells for shard, cells in (largest or {}).items() if shard in position}
    by_lens: dict[str | None, list[int]] = {}
    for cell in stale_cells(wanted, have):
        if cell.shard not in position:
            raise ValueError(f"cell {cell} is wanted, but its shard is not registered")
        by_lens.setdefault(cell.lens, []).append(position[cell.shard])
    return [
        Rectangle(lens, shards[min(stretch)], shards[max(stretch)], _span(stretch[0], stretch[-1]), len(stretch))
        for lens in sorted(by_lens, key=lambda name: name or "")
        for stretch in _stretches(sorted(by_lens[lens], reverse=newest_first), barriers, bounds, limits)
    ]


def _stretches(
    positions: Iterable[int], barriers: Sequence[int], bounds: Mapping[int, int], limits: RunLimits
) -> Iterator[list[int]]:
    """Each stretch as long as it may be, one after the other: no other division has fewer."""
    stretch: list[int] = []
    bound = limits.span
    for index in positions:
        least = min(bound, bounds.get(index, limits.span))
        if stretch and (
            len(stretch) == limits.stale
            or _span(stretch[0], index) > least
            or _span(stretch[-1], index) - 2 > limits.gap
            or bisect(barriers, stretch[-1]) != bisect(barriers, index)
        ):
            yield stretch
            stretch, least = [], min(limits.span, bounds.get(index, limits.span))
        stretch.append(index)
        bound = least
    if stretch:
        yield stretch


def _span(one: int, other: int) -> int:
    """The cells from one position to another, both included."""
    return abs(other - one) + 1
