"""When an attribute's record is made anew, and the distribution that it holds."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from datashop_assets.attributes import decide
from datashop_assets.attributes.decide import corpus_sketch
from datashop_assets.scoring.sources import ScoreSource
from datashop_assets.scoring.tables import ATTRIBUTE_SCORES
from resources.lake import DeltaLake

SCORES = np.random.default_rng(0).normal(size=(7, 50)).astype(np.float32)


@pytest.fixture
def source(tmp_path: Path) -> tuple[DeltaLake, ScoreSource]:
    """Seven shards of fifty scores, each shard with a document that has none; and those of another classifier."""
    lake, table = DeltaLake(str(tmp_path / "lake")), ATTRIBUTE_SCORES.of("a")
    for classifier, scores in {"mine": SCORES, "another": SCORES + 100}.items():
        for number, of_shard in enumerate(scores):
            cell = {"classifier": classifier, "shard": f"s{number}", "version": "v"}
            rows = [{**cell, "id": str(row), "score": float(score)} for row, score in enumerate(of_shard)]
            rows.append({**cell, "id": "none", "score": None, "reason": "no_number"})
            lake.commit(table, pl.DataFrame(rows, schema=table.schema), [cell], {})
    return lake, ScoreSource("a", table, "mine")


@pytest.mark.parametrize("documents", [1, 120, 10_000], ids=["a shard at a time", "some", "all at once"])
def test_a_sources_distribution_is_that_of_all_its_scores_however_they_are_read(
    source: tuple[DeltaLake, ScoreSource], documents: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decide, "DOCUMENTS_A_READING", documents)
    lake, mine = source
    made = corpus_sketch(lake, mine, [f"s{number}" for number in range(7)])
    assert made.values.tolist() == np.unique(SCORES).tolist()
    part = corpus_sketch(lake, mine, ["s3", "s1"])
    assert part.values.tolist() == np.unique(SCORES[[1, 3]]).tolist()
    assert corpus_sketch(lake, mine, []).n == 0
