"""Scores made again in float32: kept until they are committed, and refused where they cannot be made."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from datashop_assets.classifier.head import Head
from datashop_assets.classifier.registry import ClassifierRecord
from datashop_assets.embedding.embed import pack
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, Cell
from datashop_assets.scoring.exact_scores import Exactness, ExactScorer, exact_scorer
from datashop_assets.scoring.precision_sample import bound_of, ensure_sample, sample_version
from datashop_assets.scoring.score import ScoringError
from datashop_assets.scoring.state import OtherEncoderError
from datashop_assets.scoring.tables import PRECISION_SAMPLES
from resources.encoders import ScriptedEncoder
from resources.lake import DeltaLake
from resources.model_store import open_model_store
from resources.staging import FolderProgress

CELL, IDS = Cell("crawl-00000", "teaching"), [f"id-{number}" for number in range(6)]
TEXTS = [f"text {number} of six" for number in range(6)]
HEAD = Head(np.linspace(0, 1, 64, dtype=np.float32), 2.0)


class Stopping(ScriptedEncoder):
    """It is killed at a text of a name."""

    stop: str | None = None
    read: list[str]

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if Stopping.stop in texts:
            raise KeyboardInterrupt
        Stopping.read.extend(texts)
        return super().encode(texts)


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """Six documents of a shard, and their vectors as a precision that is off by 0.001 makes them."""
    lake = DeltaLake(str(tmp_path / "lake"))
    documents = pl.DataFrame(
        {"shard": CELL.shard, "id": IDS, "text": TEXTS, "chars": 14, "file": "f", "row": range(6), "version": "d"},
        schema_overrides={name: DOCUMENTS.schema[name] for name in ("chars", "row")},
    )
    whole = pl.concat([DOCUMENTS.empty(), documents], how="diagonal")
    lake.commit(DOCUMENTS, whole, [{"shard": CELL.shard, "version": "d"}], {})
    vectors = pl.DataFrame({"shard": CELL.shard, "id": IDS, "version": "e"}).with_columns(
        pl.Series("embedding", pack(ScriptedEncoder().encode(TEXTS) + np.float32(0.001)), pl.Binary)
    )
    table = EMBEDDINGS.of("coarse")
    lake.commit(table, vectors.select(list(table.schema)), [{"shard": CELL.shard, "version": "e"}], {})
    Stopping.stop, Stopping.read = None, []
    return lake


def scorer_of(lake: DeltaLake, tmp_path: Path) -> ExactScorer:
    record = ClassifierRecord("teaching", "c", "coarse", "r", "u", "i", "{}", True, "", datetime.now(UTC))
    ensure_sample(lake, "coarse", ScriptedEncoder(), {})

    def staging(*parts: str) -> FolderProgress:
        return FolderProgress(tmp_path.joinpath("staging", *parts))

    means = Exactness(ScriptedEncoder(), Stopping(), open_model_store(str(tmp_path), tmp_path), staging, print, {})
    return ExactScorer(lake, record, HEAD, bound_of(lake, "coarse", HEAD), means, {})


def asked(*rows: int) -> pl.DataFrame:
    return pl.DataFrame({"id": [IDS[row] for row in rows], "reduced": pl.Series([2.0] * len(rows), dtype=pl.Float32)})


def test_a_killed_run_goes_on_inside_the_shard(
    lake: DeltaLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datashop_assets.scoring.exact_scores.SAVE_SECONDS", -1.0)
    monkeypatch.setattr("datashop_assets.scoring.exact_scores.BATCH", 2)
    Stopping.stop = TEXTS[4]
    with pytest.raises(KeyboardInterrupt):
        scorer_of(lake, tmp_path).of(CELL, "s", asked(0, 1, 2, 4))
    Stopping.stop = None
    found, made = scorer_of(lake, tmp_path).of(CELL, "s", asked(4, 2, 1, 0))
    assert found["id"].to_list() == [IDS[row] for row in (4, 2, 1, 0)]
    assert sorted(Stopping.read) == [TEXTS[row] for row in (0, 1, 2, 4)], "the first two were scored twice"
    assert made == 4
    assert found["score"].to_numpy() == pytest.approx(
        HEAD.predict(ScriptedEncoder().encode([TEXTS[row] for row in (4, 2, 1, 0)])), abs=1e-3
    )


def test_scores_of_other_vectors_are_made_again(lake: DeltaLake, tmp_path: Path) -> None:
    scorer = scorer_of(lake, tmp_path)
    assert [scorer.of(CELL, version, asked(0, 1))[1] for version in ("s", "s", "t", "s")] == [2, 0, 2, 2]
    assert scorer_of(lake, tmp_path).of(CELL, "s", asked(0, 1))[1] == 0, "the next run knows them"


def test_a_document_that_is_gone_is_named(lake: DeltaLake, tmp_path: Path) -> None:
    gone = pl.DataFrame({"id": ["nowhere"], "reduced": pl.Series([2.0], dtype=pl.Float32)})
    with pytest.raises(ScoringError, match=r"nowhere.*materialize `documents`"):
        scorer_of(lake, tmp_path).of(CELL, "s", gone)


def test_a_classifier_of_other_vectors_is_refused(lake: DeltaLake, tmp_path: Path) -> None:
    scorer = scorer_of(lake, tmp_path)
    with pytest.raises(OtherEncoderError, match="near the cut-off"):
        exact_scorer(lake, scorer.classifier, scorer.means, {})


def test_the_sample_is_made_once_and_again_when_a_small_corpus_has_grown(lake: DeltaLake) -> None:
    encoder = Stopping()
    for _ in range(2):
        ensure_sample(lake, "coarse", encoder, {})
    assert sorted(Stopping.read) == TEXTS
    first = sample_version(lake, "coarse")
    grown = lake.read(EMBEDDINGS.of("coarse")).with_columns(shard=pl.lit("crawl-00001"))
    lake.commit(EMBEDDINGS.of("coarse"), grown, [{"shard": "crawl-00001", "version": "e"}], {})
    documents = lake.read(DOCUMENTS).with_columns(shard=pl.lit("crawl-00001"))
    lake.commit(DOCUMENTS, documents, [{"shard": "crawl-00001", "version": "d"}], {})
    ensure_sample(lake, "coarse", encoder, {})
    assert sample_version(lake, "coarse") != first
    assert bound_of(lake, "coarse", HEAD).documents == 12


def grow_to(lake: DeltaLake, shards: int) -> None:
    for table in (DOCUMENTS, EMBEDDINGS.of("coarse")):
        rows = lake.read(table).filter(shard=CELL.shard)
        for number in range(lake.cells(table).height, shards):
            made = rows.with_columns(shard=pl.lit(f"crawl-{number:05d}"))
            lake.commit(table, made, [{"shard": made["shard"][0], "version": made["version"][0]}], {})


def test_a_whole_sample_is_drawn_again_at_twice_the_shards_until_it_tells_of_enough(
    lake: DeltaLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datashop_assets.scoring.precision_sample.DOCUMENTS", 6)
    monkeypatch.setattr("datashop_assets.scoring.precision_sample.SHARDS", 3)
    shards = []
    for corpus in (1, 2, 3, 4, 5, 8, 9):
        grow_to(lake, corpus)
        before = sample_version(lake, "coarse")
        ensure_sample(lake, "coarse", ScriptedEncoder(), {})
        if sample_version(lake, "coarse") != before:
            shards.append((corpus, lake.read(PRECISION_SAMPLES)["shard"].n_unique()))
    assert shards == [(1, 1), (2, 2), (4, 3)]


def test_the_bound_is_that_of_the_classifier_over_the_sample(lake: DeltaLake, tmp_path: Path) -> None:
    bound = scorer_of(lake, tmp_path).bound
    moved = HEAD.predict(ScriptedEncoder().encode(TEXTS) + np.float32(0.001)) - HEAD.predict(
        ScriptedEncoder().encode(TEXTS)
    )
    assert bound.error == pytest.approx(1.5 * float(np.abs(moved).max()), rel=0.2)
    assert bound.documents == 6
