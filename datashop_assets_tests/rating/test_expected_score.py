"""Scores from the probabilities of levels."""

from dataclasses import replace
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.rating.expected_score import expected_score, levels
from datashop_assets.rating.lens import Criterion, LabelSet
from datashop_assets.seams import PermanentError
from datashop_assets_tests.rating.lens_for_tests import small_lens

LENS = small_lens()


def logs(**probabilities: float) -> dict[str, float]:
    return {name.removeprefix("p"): log(value) for name, value in probabilities.items()}


@pytest.mark.parametrize(
    ("probabilities", "score", "confidence"),
    [
        pytest.param({"p3": 1.0}, 3.0, 1.0, id="sure of one level"),
        pytest.param({"p2": 0.5, "p3": 0.5}, 2.5, 0.8, id="between two neighbours: half a level of 2.5 away"),
        pytest.param({"p0": 0.5, "p5": 0.5}, 2.5, 0.0, id="torn between the ends: the same score, no confidence"),
        pytest.param({"p4": 0.6}, 4.0, 1.0, id="the rest of the probability is on no level"),
        pytest.param({"p1": 0.3, "p4": 0.3}, 2.5, 0.4, id="normalised over the levels"),
    ],
)
def test_the_score_is_the_mean_level(probabilities: dict[str, float], score: float, confidence: float) -> None:
    expected = expected_score(logs(**probabilities), LENS)
    assert expected is not None
    assert (expected.score, expected.overall) == (pytest.approx(score), pytest.approx(score))
    assert expected.confidence == pytest.approx(confidence)


@pytest.mark.parametrize("found", [{}, logs(p1=0.2, p2=0.29)], ids=["no level at all", "less than half"])
def test_a_model_that_would_say_something_else_gives_no_score(found: dict[str, float]) -> None:
    assert expected_score(found, LENS) is None


def test_answers_that_are_no_level_of_the_lens_do_not_count() -> None:
    assert expected_score(logs(p9=0.9, p2=0.05), LENS) is None


@given(st.dictionaries(st.sampled_from(levels(LENS)), st.floats(-5, 0), min_size=1))
def test_no_score_leaves_the_scale(found: dict[str, float]) -> None:
    expected = expected_score(found, LENS)
    if expected is not None:
        assert LENS.low <= expected.score <= LENS.high
        assert 0 <= expected.confidence <= 1
        assert 0.5 <= expected.mass <= 1


def test_a_compressed_scale_is_compressed_level_by_level() -> None:
    """Asked from 0 to 4, stored as 0 to 2: half a 1 (stored 0) and half a 4 (stored 2) are a stored 1."""
    lens = replace(
        small_lens(high=2), criteria=(Criterion("worth", 0, 4),), compression=((0, 0), (1, 0), (2, 1), (3, 1), (4, 2))
    )
    expected = expected_score(logs(p1=0.5, p4=0.5), lens)
    assert expected is not None
    assert (expected.overall, expected.score) == (pytest.approx(2.5), pytest.approx(1.0))


@pytest.mark.parametrize(
    ("lens", "named"),
    [
        pytest.param(replace(LENS, criteria=(Criterion("worth", 1, 10),)), "from 1 to 10", id="two digits"),
        pytest.param(replace(LENS, criteria=(Criterion("worth", -1, 1),)), "from -1 to 1", id="a sign"),
        pytest.param(replace(LENS, label_sets=(LabelSet("domains", ("a",)),)), "labels", id="a label lens"),
    ],
)
def test_a_lens_whose_levels_are_no_single_tokens_is_refused_with_the_mend(lens: object, named: str) -> None:
    with pytest.raises(PermanentError, match=rf"'clarity'.*{named}.*score_only"):
        levels(lens)  # type: ignore[arg-type]
