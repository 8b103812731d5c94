import numpy as np
import polars as pl
import pytest

from datashop_assets.classifier.head import Head
from datashop_assets.records import SCORES
from datashop_assets.scoring.score import ScoringError, histogram, score_cell
from datashop_assets_tests.classifier.lenses import lens

IDENTITY = Head(np.array([1.0], np.float32), 0.0)


@pytest.mark.parametrize(
    ("score", "rounded"),
    [(0.5, 0), (1.5, 2), (2.5, 2), (2.51, 3), (-3.0, 0), (9.9, 5), (4.49, 4)],
    ids=["half to 0", "half to 2", "half down to 2", "above half", "below the scale", "above the scale", "down"],
)
def test_int_score_is_rounded_half_to_even_and_clipped_while_score_stays_as_it_is(score, rounded):
    row = score_cell(["a"], np.array([[score]], np.float32), IDENTITY, lens())
    assert row["int_score"].to_list() == [rounded]
    assert row["score"][0] == pytest.approx(score)


def test_scores_stand_in_the_documents_order_with_the_table_types():
    frame = score_cell(pl.Series(["z", "a"]), np.array([[4.0], [1.0]], np.float32), IDENTITY, lens())
    assert frame.rows() == [("z", 4.0, 4), ("a", 1.0, 1)]
    assert all(frame.schema[name] == SCORES.schema[name] for name in frame.columns)


def test_a_cell_without_documents_has_no_scores():
    assert score_cell([], np.empty((0, 0), np.float32), IDENTITY, lens()).height == 0


@pytest.mark.parametrize(
    ("ids", "vectors", "error", "said"),
    [
        (["a", "b"], [[1.0]], ScoringError, "2 documents but 1 vectors"),
        (["a", "b"], [[1.0], [np.nan]], ScoringError, r"\['b'\]"),
        (["a"], [[1.0, 2.0]], ValueError, "takes vectors of 1 values"),
    ],
    ids=["rows missing", "not finite", "another encoder"],
)
def test_what_cannot_be_scored_is_named(ids, vectors, error, said):
    with pytest.raises(error, match=said):
        score_cell(ids, np.array(vectors, np.float32), IDENTITY, lens())


def test_the_histogram_has_every_value_of_the_scale():
    assert histogram(pl.Series([3, 3, 5], dtype=pl.Int8), lens()) == {0: 0, 1: 0, 2: 0, 3: 2, 4: 0, 5: 1}
