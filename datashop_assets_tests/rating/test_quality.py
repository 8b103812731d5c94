"""The figures behind the rating checks, and the labels that training reads."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.rating.quality import annotation_versions, failed_shards, labelled, rating_quality
from datashop_assets.records import ANNOTATIONS
from datashop_assets_tests.classifier.lenses import lens
from resources.lake import DeltaLake

LENS = lens()
TABLE = ANNOTATIONS.of(LENS.name)


def rate(lake: DeltaLake, shard: str, rater: str, scores: list[float | str | None], lens_version: str) -> None:
    """A text in place of a score is the reason why there is none."""
    rows = [
        {
            "shard": shard,
            "rater": rater,
            "id": f"d{n}",
            "text_sha": f"t{n}",
            "score": score if isinstance(score, float) else None,
            "reason": None if isinstance(score, float) else score or "refused",
            "lens_version": lens_version,
            "rated_at": datetime.now(UTC),
            "version": "v",
        }
        for n, score in enumerate(scores)
    ]
    cell = {"shard": shard, "rater": rater, "version": "v"}
    lake.commit(TABLE, pl.DataFrame(rows, schema=TABLE.schema), [cell], {})


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    lake = DeltaLake(str(tmp_path))
    rate(lake, "s1", "a", [1.0, 2.0, None], LENS.version)
    rate(lake, "s2", "a", [1.0], LENS.version)
    rate(lake, "s1", "b", [3.0, 3.0], LENS.version)
    rate(lake, "s3", "b", [5.0], "an older text of the lens")
    return lake


def test_raters_are_counted_apart(lake: DeltaLake) -> None:
    first, second = rating_quality(lake, [LENS, replace(LENS, name="unrated")]).to_dicts()
    assert (first["rater"], first["judgements"], first["failed"], first["reasons"]) == ("a", 4, 1, "refused")
    assert (first["failed share"], first["distinct scores"]) == (0.25, 2)
    seen = (second["rater"], second["failed"], second["mean score"])
    assert seen == ("b", 0, 3.0), "an older text of the lens is left out"


@pytest.mark.parametrize(
    ("scores", "skipped", "failed", "share"),
    [
        pytest.param([1.0, "too_short", "empty_document"], 2, 0, 0.0, id="skipped documents are no failures"),
        pytest.param([1.0, "too_short", "refused"], 1, 1, 0.5, id="the share is of those that were asked about"),
        pytest.param(["too_short"], 1, 0, 0.0, id="nothing was asked about"),
    ],
)
def test_skipped_documents_are_counted_apart(
    scores: list[float | str | None], skipped: int, failed: int, share: float, tmp_path: Path
) -> None:
    lake = DeltaLake(str(tmp_path))
    rate(lake, "s1", "a", scores, LENS.version)
    (row,) = rating_quality(lake, [LENS]).to_dicts()
    assert (row["judgements"], row["skipped"], row["failed"], row["failed share"]) == (
        len(scores),
        skipped,
        failed,
        share,
    )
    assert row["reasons"] == ("refused" if failed else "")
    now = datetime.now(UTC)
    assert set(failed_shards(lake, LENS, "a", now)) == ({"s1"} if failed else set()), "skipped ones are worth no try"
    assert failed_shards(lake, LENS, "a", datetime(2000, 1, 1, tzinfo=UTC)) == {}, "nor is what failed since"


def test_labels_are_one_raters_through_the_lens_as_it_is_now(lake: DeltaLake) -> None:
    assert labelled(lake, LENS, "b").select("shard", "id", "score").rows() == [("s1", "d0", 3.0), ("s1", "d1", 3.0)]
    assert labelled(lake, LENS, "a")["score"].null_count() == 1, "failures are there to be counted"
    assert labelled(lake, LENS, "nobody").is_empty()


def test_the_labels_identity_is_their_raters_cells(lake: DeltaLake) -> None:
    assert annotation_versions(lake, LENS.name, "a") == {"s1": "v", "s2": "v"}
    assert annotation_versions(lake, LENS.name, "nobody") == {}
