"""A lake of a few documents in two datasets, lenses with criteria and with labels, and annotations put in by hand."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.rating.lens import Criterion, LabelSet, Lens
from datashop_assets.records import ANNOTATIONS, DOCUMENTS
from resources.lake import DeltaLake

LINEAGE = {"asset": "test", "run_id": "test"}
# Shard -> dataset, and the documents of each shard by id. `d1` and `e1` have the same text, `same` has two texts.
DATASETS = {"crawl-0": "crawl", "crawl-1": "crawl", "books-0": "books"}
TEXTS: Mapping[str, Mapping[str, str]] = {
    "crawl-0": {"d1": "one text", "d2": "two\r\ntexts", "d3": 'a "third" 😀', "same": "first of its name"},
    "crawl-1": {"e1": "one text", "e2": "another"},
    "books-0": {"b1": "a book", "b2": "a second book", "same": "second of its name"},
}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def lake_with_documents(folder: Path) -> DeltaLake:
    lake = DeltaLake(str(folder / "lake"))
    for shard, texts in TEXTS.items():
        rows = [
            {
                "shard": shard,
                "id": id_,
                "dataset": DATASETS[shard],
                "source": f"{DATASETS[shard]}.org",
                "text": text,
                "text_sha": sha(text),
                "chars": len(text),
                "file": "f",
                "row": number,
                "version": "v",
            }
            for number, (id_, text) in enumerate(texts.items())
        ]
        frame = pl.DataFrame(rows, schema=DOCUMENTS.schema)
        lake.commit(DOCUMENTS, frame, [{"shard": shard, "version": "v"}], LINEAGE)
    return lake


def score_lens(**changes: Any) -> Lens:
    """Two criteria and the overall one on 1 to 3, the lens's scale too."""
    criteria = tuple(Criterion(name, 1, 3) for name in ("correct", "clear", "overall"))
    values: dict[str, Any] = {"low": 1, "high": 3, "positive_at": 2.0, "criteria": criteria}
    return Lens("clarity", "Clarity", "How clear.", max_chars=4000, system="s", prompt="p", exemplars=(),
                **values | changes)  # fmt: skip


def label_lens() -> Lens:
    sets = (LabelSet("domains", ("health", "law", "school")), LabelSet("uses", ("summary", "search")))
    return Lens("topics", "Topics", "About what.", 0, 0, 0.0, 4000, "s", "p", (), label_sets=sets)


def annotate(
    lake: DeltaLake, lens: Lens, ratings: Sequence[tuple[str, str, Mapping[str, Any]]], rater: str = "r1"
) -> None:
    """Put in annotations: (shard, id, columns). A rating without a score or labels failed, for a `reason`."""
    for shard in sorted({shard for shard, _, _ in ratings}):
        rows = [
            {
                "shard": shard,
                "rater": rater,
                "id": id_,
                "text_sha": sha(TEXTS[shard].get(id_, "gone")),
                "lens_version": lens.version,
                "rated_at": datetime(2026, 1, 2, tzinfo=UTC),
                "criteria": [],
                "labels": [],
                "version": "v",
                **{name: float(value) if name == "score" else value for name, value in columns.items()},
            }
            for place, id_, columns in ratings
            if place == shard
        ]
        cells = [{"shard": shard, "rater": rater, "version": "v"}]
        lake.commit(ANNOTATIONS.of(lens.name), pl.DataFrame(rows, schema=ANNOTATIONS.schema), cells, LINEAGE)


def criteria(**scores: float) -> list[dict[str, Any]]:
    return [{"name": name, "score": float(score)} for name, score in scores.items()]


def labels(**sets: Sequence[str]) -> list[dict[str, str]]:
    return [{"set": name, "label": label} for name, found in sets.items() for label in found]
