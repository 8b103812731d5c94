"""Answers of prompted models: read where they are plain, failed where they leave doubt."""

import pytest

from datashop_assets.rating.answers import answer_schema, parse_answer
from datashop_assets_tests.rating.lens_for_tests import small_lens

LENS = small_lens()


@pytest.mark.parametrize(
    ("text", "score"),
    [
        pytest.param('{"rationale": "clear", "score": 4}', 4, id="as asked"),
        pytest.param('```json\n{"rationale": "a {brace} in it", "score": 0}\n```', 0, id="in a code fence"),
        pytest.param('The scale is {low}..{high}. {"score": "3"}', 3, id="braces before, number as text"),
        pytest.param('{"score": 1} On reflection: {"score": 2}', 2, id="changed its mind"),
        pytest.param("Explains well.\n\n**Score:** 4", 4, id="no JSON, a marker"),
        pytest.param("I first thought score: 2, but the final score is 3/5.", 3, id="last marker, out of the top"),
    ],
)
def test_plain_answers_are_read(text: str, score: float) -> None:
    answer = parse_answer(text, LENS)
    assert (answer.score, answer.fault) == (score, None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "unparsable_answer", id="empty"),
        pytest.param("I cannot rate this document.", "unparsable_answer", id="no number"),
        pytest.param("It has 4 sections and 3 examples.", "unparsable_answer", id="numbers that are no score"),
        pytest.param('{"rationale": "cut off in the mid', "unparsable_answer", id="cut off"),
        pytest.param('{"score": 7}', "off_scale", id="above the scale"),
        pytest.param("Score: -1", "off_scale", id="below the scale"),
        pytest.param("Score: 8/10", "ambiguous_answer", id="another scale"),
        pytest.param("Score: 4/10", "ambiguous_answer", id="another scale, number within ours"),
        pytest.param('{"score": null}', "ambiguous_answer", id="null"),
        pytest.param('{"score": true}', "ambiguous_answer", id="a boolean is no number"),
        pytest.param('{"score": "3 or 4"}', "ambiguous_answer", id="two numbers"),
        pytest.param('{"score": [3]}', "ambiguous_answer", id="a list"),
        pytest.param("Score: 3-4", "ambiguous_answer", id="a range"),
        pytest.param('{"score": NaN}', "ambiguous_answer", id="not a number"),
    ],
)
def test_doubtful_answers_fail(text: str, fault: str) -> None:
    answer = parse_answer(text, LENS)
    assert (answer.score, answer.fault) == (None, fault)


def test_the_rationale_is_kept() -> None:
    assert parse_answer('{"rationale": "has examples", "score": 4}', LENS).rationale == "has examples"
    assert parse_answer("Has examples.\nScore: 4", LENS).rationale == "Has examples."


def test_the_schema_bounds_the_score_by_the_lens() -> None:
    score = answer_schema(small_lens(high=9))["properties"]["score"]
    assert (score["type"], score["minimum"], score["maximum"]) == ("integer", 0, 9)
