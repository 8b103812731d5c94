"""A curation of a pool: what is corrected, what is left alone, and what is said of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from datashop_assets.curation.curate import Curation, curate
from datashop_assets.curation.pool import RatedPool
from datashop_assets.curation.report import Report
from datashop_assets.project import CurationSettings
from datashop_assets_tests.curation.clusters import LEVELS, clusters, errors, rated
from datashop_assets_tests.rating.lens_for_tests import small_lens

LENS = replace(small_lens(high=LEVELS), low=1)


def pool_of(vectors: np.ndarray, *scores: np.ndarray, texts: Sequence[str] | None = None) -> RatedPool:
    ids = [f"{row:05}" for row in range(len(vectors))]
    return RatedPool(
        rows=pl.DataFrame(
            {"shard": "s", "id": ids, "text_sha": list(texts or ids)},
            schema={"shard": pl.String, "id": pl.String, "text_sha": pl.String},
        ),
        scores=np.column_stack([each.astype(float) for each in scores]),
        vectors=vectors,
        raters=tuple(f"rater-{number}" for number in range(len(scores))),
        without_score=0,
        outdated=0,
        annotations=[{"s": "v"} for _ in scores],
        embeddings={"s": "e"},
    )


def curated(pool: RatedPool, **settings: float) -> Curation:
    names = [f"r{number}" for number in range(len(pool.raters))]

    def excerpts(rows: pl.DataFrame, chars: int) -> list[str]:
        return [f"text {id_}"[:chars] for id_ in rows["id"]]

    return curate(pool, LENS, "enc", CurationSettings.model_validate(settings), names, excerpts)


@pytest.fixture(scope="module")
def world() -> tuple[np.ndarray, np.ndarray]:
    vectors, true = clusters(2000)
    return vectors, true


def test_scores_are_corrected_on_the_lens_s_own_scale(world) -> None:
    vectors, true = world
    given = rated(true, errors(0.3)) + LENS.low
    made = curated(pool_of(vectors, given))
    right_before = np.mean(given == true + LENS.low)
    assert np.mean(made.rows["curated_score"].to_numpy() == true + LENS.low) > right_before + 0.15
    assert made.report.before == tuple(np.bincount(given - LENS.low, minlength=LEVELS).tolist())
    assert sum(made.report.after) == made.report.rows == 2000
    assert made.rows["changed"].sum() == made.report.changed > 300
    np.testing.assert_allclose(np.array(made.report.raters[0].transition), errors(0.3), atol=0.06)
    unchanged = made.rows.filter(~pl.col("changed"))
    assert unchanged["score"].equals(unchanged["curated_score"].alias("score"))


def test_three_cheap_raters_are_worth_a_dear_one(world) -> None:
    vectors, true = world
    cheap = [rated(true, errors(0.4, even=number != 1), seed=number) + LENS.low for number in range(3)]
    dear = rated(true, errors(0.15), seed=9) + LENS.low
    fused = curated(pool_of(vectors, *cheap))
    alone = curated(pool_of(vectors, cheap[0]))
    right = {
        name: np.mean(made.rows["curated_score"].to_numpy() == true + LENS.low)
        for name, made in {"fused": fused, "alone": alone}.items()
    }
    assert right["fused"] > right["alone"] + 0.03
    assert right["fused"] > np.mean(dear == true + LENS.low)
    assert [fit.right for fit in fused.report.raters] == pytest.approx([0.6, 0.6, 0.6], abs=0.06)
    assert fused.rows["raters"].unique().to_list() == [3]


def test_a_more_reliable_rater_is_reported_as_such_and_believed(world) -> None:
    vectors, true = world
    poor, good = rated(true, errors(0.5), seed=1) + LENS.low, rated(true, errors(0.1), seed=2) + LENS.low
    made = curated(pool_of(vectors, poor, good))
    assert made.report.raters[1].right > made.report.raters[0].right + 0.3
    assert made.report.raters[1].distance < made.report.raters[0].distance
    differ = poor != good
    agrees = made.rows["curated_score"].to_numpy()[differ]
    assert np.mean(agrees == good[differ]) > 3 * np.mean(agrees == poor[differ])


def test_a_rater_of_a_few_texts_is_left_out_and_its_texts_keep_their_scores(world) -> None:
    vectors, true = world
    first = rated(true, errors(0.3)).astype(float) + LENS.low
    second = np.full(len(true), np.nan)
    second[:40] = true[:40] + LENS.low
    first[:20] = np.nan  # rated by the second alone
    made = curated(pool_of(vectors, first, second))
    assert list(made.report.left_out) == ["r1"]
    assert "too few" in made.report.left_out["r1"]
    assert any("r1 was left out" in doubt for doubt in made.report.doubts)
    alone = made.rows.head(20)
    assert alone["curated_score"].to_list() == alone["score"].to_list() == second[:20].tolist()
    assert alone["wrong"].null_count() == 20
    assert made.rows[20:]["wrong"].null_count() == 0


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        pytest.param(3, "have no 10 neighbours", id="fewer texts than neighbours"),
        pytest.param(1, "have no 10 neighbours", id="one document"),
        pytest.param(0, "", id="none at all"),
        pytest.param(40, "40 independent rated texts are too few", id="too few for two classes"),
    ],
)
def test_a_small_pool_keeps_its_scores_and_says_how_many_texts_are_needed(world, rows: int, says: str) -> None:
    vectors, true = world
    given = true[:rows] + LENS.low
    made = curated(pool_of(vectors[:rows], given))
    assert made.rows["curated_score"].to_list() == given.tolist()
    assert made.rows["wrong"].null_count() == rows
    assert not made.report.fitted
    assert says in made.report.doubts[0]
    assert made.report.raters == made.report.suspicious == ()
    if rows > 10:
        assert "two classes need 50" in made.report.doubts[0]
        assert made.rows["rareness"].null_count() == 0


def test_documents_without_a_direction_keep_their_scores(world) -> None:
    vectors, true = world
    broken = vectors.copy()
    broken[5], broken[7] = 0, np.nan
    given = rated(true, errors(0.3)) + LENS.low
    made = curated(pool_of(broken, given))
    assert made.report.without_direction == 2
    assert made.rows["wrong"].null_count() == made.rows["rareness"].null_count() == 2
    assert made.rows["curated_score"][5] == given[5]


def test_one_score_for_all_is_believed(world) -> None:
    vectors, _ = world
    made = curated(pool_of(vectors, np.full(len(vectors), 2)))
    assert made.report.changed == made.report.flagged == 0
    assert made.rows["curated_score"].unique().to_list() == [2.0]
    assert made.report.fitted


def test_a_pool_that_is_too_small_for_all_levels_is_curated_in_coarser_ones(world) -> None:
    vectors, true = world
    given = rated(true[:200], errors(0.2)) + LENS.low
    made = curated(pool_of(vectors[:200], given))
    assert made.report.fitted
    assert len(made.report.classes) == 3
    assert made.report.texts_for_every_level == 270
    assert set(made.rows["suggested"].to_list()) > set(given.tolist())  # the mean of a class of two levels


def test_suspicious_rows_are_shown_with_their_neighbours_and_twins_only_once(world) -> None:
    vectors, true = world
    given = rated(true, errors(0.05)) + LENS.low
    # A text that stands four times over, each time with the same wrong score.
    sure = int(np.flatnonzero(given == true + LENS.low)[0])
    vectors = np.vstack([vectors, np.tile(vectors[sure], (3, 1))])
    wrong = LENS.low + (true[sure] + 2) % LEVELS
    given = np.append(given, [wrong] * 3)
    given[sure] = wrong
    texts = [f"{row:05}" for row in range(2000)] + [f"{sure:05}"] * 3
    made = curated(pool_of(vectors, given, texts=texts))
    shown = [row.document for row in made.report.suspicious]
    assert len(shown) == 20
    assert shown.count(f"s/{sure:05}") == 1
    assert not {f"s/{row:05}" for row in range(2000, 2003)} & set(shown)
    assert all(len(row.neighbours) == 3 and row.text == f"text {row.document[2:]}" for row in made.report.suspicious)
    assert [row.wrong for row in made.report.suspicious] == sorted(
        (row.wrong for row in made.report.suspicious), reverse=True
    )
    found = next(row for row in made.report.suspicious if row.document == f"s/{sure:05}")
    assert found.suggested == true[sure] + LENS.low


def test_the_report_survives_its_json(world) -> None:
    vectors, true = world
    report = curated(pool_of(vectors, rated(true, errors(0.3)) + LENS.low)).report
    assert Report.from_json(report.to_json()) == report


def test_the_score_is_always_the_lens_s_own_rater_s_where_there_is_one(world) -> None:
    vectors, true = world
    own = np.full(len(true), np.nan)
    own[:40] = 1.0  # too few to know its errors by
    other = rated(true, errors(0.3)).astype(float) + LENS.low
    made = curated(pool_of(vectors, own, other))
    assert list(made.report.left_out) == ["r0"]
    assert made.rows["score"][:40].to_list() == made.rows["curated_score"][:40].to_list() == [1.0] * 40
    assert made.rows["wrong"][:40].null_count() == 40


def test_a_confidence_of_one_only_shows(world) -> None:
    vectors, true = world
    raters = [rated(true, errors(0.1), seed=seed) + LENS.low for seed in range(5)]
    made = curated(pool_of(vectors, *raters), least_confidence=1)
    assert made.report.changed == 0
    assert made.report.flagged > 0
