"""Answers of prompted models: read where they are plain, failed where they leave doubt."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.rating.answers import answer_schema, parse_answer
from datashop_assets.rating.lens import Criterion, LabelSet, Mode
from datashop_assets_tests.rating.lens_for_tests import small_lens

LENS = small_lens()
MODE: Mode = "rationale_then_score"
CRITERIA = (
    Criterion("quality", 0, 5),
    Criterion("code_quality", 0, 3),
    Criterion("overall", 1, 10),
)
SEVERAL = replace(LENS, criteria=CRITERIA)
LABELS = replace(
    LENS,
    label_sets=(
        LabelSet("domains", ("Health", "E-commerce", "Business, finance and law")),
        LabelSet("use_cases", ("Educación cívica", "Health", "None of these")),
    ),
)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        pytest.param('{"rationale": "clear", "score": 4}', 4, id="as asked"),
        pytest.param('```json\n{"rationale": "a {brace} in it", "score": 0}\n```', 0, id="in a code fence"),
        pytest.param('My verdict:\n```\n{"score": 2}\n```\nThank you.', 2, id="a fence with prose around it"),
        pytest.param('The scale is {low}..{high}. {"score": "3"}', 3, id="braces before, number as text"),
        pytest.param('{"rationale": "clear", "score": 4,}', 4, id="a trailing comma"),
        pytest.param('{"rationale": "two\nlines, ]", "score": 4 ,\n} and so on, }', 4, id="a line break in a string"),
        pytest.param('{"score": 1} To repeat: {"score": 1}', 1, id="says it twice"),
        pytest.param("Explains well.\n\n**Score:** 4", 4, id="no JSON, a marker"),
        pytest.param("Its score is 3/5.", 3, id="a marker, out of the top"),
        pytest.param('<think>Is its score: 2? No.</think>{"score": 3}', 3, id="thinking aloud before"),
        pytest.param('{"Score": 2.5}', 2.5, id="half a point, another case"),
        pytest.param("Score: 4", 4, id="a mark alone"),
        pytest.param("**Score: 4.**", 4, id="a mark in bold, with its full stop"),
        pytest.param("### Score\n\nScore:\n4\n", 4, id="below a heading, on a line of its own"),
        pytest.param("Educational score: 4/5", 4, id="FineWeb-Edu's word, out of the top"),
        pytest.param("It explains, with examples. Educational score:  4", 4, id="FineWeb-Edu's, after its sentences"),
        pytest.param("...Educational score:  4", 4, id="FineWeb-Edu's, after an ellipsis"),
        pytest.param("Score: 4 out of 5", 4, id="out of the top, in words"),
        pytest.param("Score: 4 de 5.", 4, id="out of the top, in Spanish"),
        pytest.param("- Score: 4.5", 4.5, id="half a point, in a list"),
        pytest.param("Clear.\nWell made.\n\nTherefore, the final score is 4.\n", 4, id="reasons, then a last line"),
        pytest.param('The `{"a": b}` in it is fine.\nScore: 4', 4, id="braces of the document in a sentence"),
        pytest.param('{"score": 1, "rationale": "it has </think> Score: 5"}', 1, id="the end of thinking in a string"),
        pytest.param('<think>Rather {"score": 2}? No.</think>{"score": 3}', 3, id="an object in the thinking"),
    ],
)
def test_plain_answers_are_read(text: str, score: float) -> None:
    answer = parse_answer(text, LENS, MODE)
    assert (answer.criteria, answer.fault) == ({"score": score}, None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("", "unparsable_answer", id="empty"),
        pytest.param("I cannot rate this document.", "unparsable_answer", id="no number"),
        pytest.param("It has 4 sections and 3 examples.", "unparsable_answer", id="numbers that are no score"),
        pytest.param('{"rationale": "cut off in the mid', "unparsable_answer", id="cut off"),
        pytest.param('{"a":' * 20_000, "unparsable_answer", id="nested without end"),
        pytest.param('{"score": 7}', "off_scale", id="above the scale"),
        pytest.param('{"score": 1e999}', "off_scale", id="infinite"),
        pytest.param('{"score": ' + "9" * 5000 + "}", "off_scale", id="five thousand digits"),
        pytest.param('{"score": 1' + "0" * 400 + "}", "off_scale", id="an integer that no float holds"),
        pytest.param("Score: " + "9" * 400, "off_scale", id="such an integer in a mark"),
        pytest.param("Score: -1", "off_scale", id="below the scale"),
        pytest.param("Score: 8/10", "ambiguous_answer", id="another scale"),
        pytest.param("Score: 4/10", "ambiguous_answer", id="another scale, number within ours"),
        pytest.param("Score: 4. Out of 10.", "ambiguous_answer", id="another scale, in a sentence of its own"),
        pytest.param("Score: 4. No, 2.", "ambiguous_answer", id="taken back in the same line"),
        pytest.param("> Score: 5", "ambiguous_answer", id="a line that is quoted"),
        pytest.param("Score: 1 out of 10", "ambiguous_answer", id="another scale, in words"),
        pytest.param("Score: 4,8 de 10", "ambiguous_answer", id="another scale and a decimal comma, in Spanish"),
        pytest.param("score: 5 (on a scale to 100)", "ambiguous_answer", id="another scale, in brackets"),
        pytest.param("score: 4%", "ambiguous_answer", id="a percentage"),
        pytest.param("score: 3,5", "ambiguous_answer", id="a decimal comma"),
        pytest.param("score: 2 -> 3", "ambiguous_answer", id="a change of mind"),
        pytest.param("score: 4, maybe 3", "ambiguous_answer", id="a second thought"),
        pytest.param("I would not give it Score: 5.", "ambiguous_answer", id="a denial"),
        pytest.param('{"score": "1_0"}', "ambiguous_answer", id="a number as only programs write it"),
        pytest.param('{"score": null}', "ambiguous_answer", id="null"),
        pytest.param('{"score": true}', "ambiguous_answer", id="a boolean is no number"),
        pytest.param('{"score": "3 or 4"}', "ambiguous_answer", id="two numbers"),
        pytest.param('{"score": [3]}', "ambiguous_answer", id="a list"),
        pytest.param("Score: 3-4", "ambiguous_answer", id="a range"),
        pytest.param('{"score": NaN}', "ambiguous_answer", id="not a number"),
        pytest.param('{"score": 5, "score": 2}', "ambiguous_answer", id="the key twice"),
        pytest.param('{"score": 1} On reflection: {"score": 2}', "ambiguous_answer", id="two objects that differ"),
        pytest.param("I first thought score: 2, but the score is 3.", "ambiguous_answer", id="two marks that differ"),
    ],
)
def test_doubtful_answers_fail(text: str, fault: str) -> None:
    answer = parse_answer(text, LENS, MODE)
    assert (answer.criteria, answer.fault) == ({}, fault)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param('{"rationale": "It says {\\"score\\": 5}.", "score": 1}', 1.0, id="JSON in the rationale"),
        pytest.param('{"rationale": "It ends: Score: 5", "score": 1}', 1.0, id="a mark in the rationale"),
        pytest.param('{"rationale": {"score": 5}, "score": 1}', 1.0, id="a nested object"),
        pytest.param('{"document": "Score: 5"}\nScore: 1', 1.0, id="the document as an object"),
        pytest.param('Score: 1\nThe document ends with "Score: 5".', 1.0, id="a quoted mark after the verdict"),
        pytest.param("The document opens with “Score: 5”, but score: 1", 1.0, id="a quoted mark before the verdict"),
        pytest.param('The document holds {"score": 5}.\n{"score": 1}', "ambiguous_answer", id="JSON as its own words"),
        pytest.param('{"score": 1}\nThe document: {"score": 5}', "ambiguous_answer", id="JSON after the verdict"),
        pytest.param("Score: 5\n\nSo it says. Score: 1", "ambiguous_answer", id="a mark as its own words"),
        pytest.param('The document ends with "Score: 5".', "unparsable_answer", id="nothing but an echo"),
        pytest.param(
            "The document ends with the words Score: 5 and nothing else.",
            "ambiguous_answer",
            id="an echo in a sentence",
        ),
        pytest.param('"Score: 5. Great," it says.', "ambiguous_answer", id="an echo that begins a longer quotation"),
        pytest.param('{"rationale": "the text says score: 5 and', "unparsable_answer", id="an echo in a broken object"),
        pytest.param(
            'Here:\n{"rationale": "it says\nScore: 5\n', "unparsable_answer", id="a broken object below words"
        ),
        pytest.param("{'rationale': 'it says\nScore: 5\n'}", "unparsable_answer", id="an object in Python's quotes"),
        pytest.param('Here: {"rationale": {"score": 5}, "score', "unparsable_answer", id="nested in a broken object"),
    ],
)
def test_what_a_document_says_of_its_score_is_no_answer(text: str, read: float | str) -> None:
    answer = parse_answer(text, LENS, MODE)
    assert (answer.fault or answer.criteria["score"]) == read


PIECES = [
    "Score: 4",
    '{"score": ',
    "{'",
    "}",
    '"',
    "9" * 400,
    "</think>",
    "\\n",
    ",",
    ".",
    "/5",
    " out of ",
    "```",
    "{",
    "NaN",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=9).map("".join))
def test_whatever_a_model_says_is_a_score_on_the_scale_or_a_fault(text: str) -> None:
    answer = parse_answer(text, LENS, MODE)
    assert bool(answer.fault) != ("score" in answer.criteria)
    assert all(0 <= score <= 5 for score in answer.criteria.values())


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param('{"quality": 4, "code_quality": 2, "overall": 7}', (4, 2, 7), id="as asked"),
        pytest.param('{"Overall": 7, "Code Quality": 2, "quality": 4}', (4, 2, 7), id="other order, case and spacing"),
        pytest.param(
            "Code quality: 2\n**Quality**: 4/5\nOverall = 7/10", (4, 2, 7), id="marks; one name holds another"
        ),
        pytest.param("Quality: 4, code quality: 2/3 and overall: 7.", (4, 2, 7), id="marks on one line"),
        pytest.param("Quality: 4, code quality: 2 or 3, overall: 7.", "ambiguous_answer", id="one of them a range"),
        pytest.param('{"quality": 4, "overall": 7}', "missing_criterion", id="one is missing"),
        pytest.param("Code quality: 2, overall: 7", "missing_criterion", id="a longer name is not the shorter one"),
        pytest.param('{"quality": 4, "code_quality": 4, "overall": 7}', "off_scale", id="on another one's scale"),
        pytest.param('{"quality": 4, "code_quality": null, "overall": 7}', "ambiguous_answer", id="one is null"),
        pytest.param('{"score": 4}', "unparsable_answer", id="another name altogether"),
    ],
)
def test_every_criterion_is_read_on_its_own_scale(text: str, read: tuple[float, ...] | str) -> None:
    answer = parse_answer(text, SEVERAL, MODE)
    assert (answer.fault or tuple(answer.criteria.values())) == read


def test_a_lens_with_one_criterion_takes_the_word_score_for_it() -> None:
    lens = replace(LENS, criteria=(Criterion("educational_value", 0, 5),))
    assert parse_answer('{"educational_value": 3}', lens, MODE).criteria == {"educational_value": 3}
    assert parse_answer("Final score: 3", lens, MODE).criteria == {"educational_value": 3}
    assert parse_answer('{"educational_value": 3, "score": 4}', lens, MODE).fault == "ambiguous_answer"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param(
            '{"domains": ["Health", "E-commerce"], "use_cases": []}',
            {"domains": ("Health", "E-commerce"), "use_cases": ()},
            id="as asked",
        ),
        pytest.param(
            '{"domains": [" HEALTH ", "health", "e-Commerce"], "use cases": ["educacio\u0301n  ci\u0301vica"]}',
            {"domains": ("Health", "E-commerce"), "use_cases": ("Educación cívica",)},
            id="case, white space, the encoding of accents, twice the same",
        ),
        pytest.param(
            '{"domains": ["No match"], "use_cases": "none"}', {"domains": (), "use_cases": ()}, id="no match, in words"
        ),
        pytest.param(
            "DOMAINS: business, finance and law, E-commerce.\nUse cases: Sin coincidencia",
            {"domains": ("Business, finance and law", "E-commerce"), "use_cases": ()},
            id="as prose, one label holds a comma",
        ),
        pytest.param('{"domains": ["Ecommerce"], "use_cases": []}', "unknown_label", id="nearly a label"),
        pytest.param('{"domains": ["Educación cívica"], "use_cases": []}', "unknown_label", id="of another set"),
        pytest.param('{"domains": "Business", "use_cases": []}', "unknown_label", id="the beginning of a label"),
        pytest.param(
            '{"domains": ["Health", "no match"], "use_cases": []}', "ambiguous_answer", id="match and no match"
        ),
        pytest.param('{"domains": null, "use_cases": []}', "ambiguous_answer", id="null"),
        pytest.param('{"domains": [3], "use_cases": []}', "ambiguous_answer", id="a number"),
        pytest.param('{"domains": ["Health"]}', "missing_criterion", id="a set is missing"),
        pytest.param("Health, I should say.", "unparsable_answer", id="no set named"),
        pytest.param(
            'domains: Health\n{"domains": [], "use_cases": []}', "ambiguous_answer", id="two answers that differ"
        ),
    ],
)
def test_labels_are_those_of_the_vocabulary(text: str, read: dict[str, tuple[str, ...]] | str) -> None:
    answer = parse_answer(text, LABELS, MODE)
    assert (answer.fault or answer.labels) == read


def test_the_rationale_is_kept_where_the_mode_wants_one() -> None:
    assert parse_answer('{"rationale": "has examples", "score": 4}', LENS, MODE).rationale == "has examples"
    assert parse_answer("Has examples.\nScore: 4", LENS, MODE).rationale == "Has examples."
    assert parse_answer('{"rationale": "thin", "score": 9}', LENS, MODE).rationale == "thin"
    assert parse_answer("Has examples.\nScore: 4", LENS, "score_only").rationale is None


def test_the_schema_asks_for_the_rationale_first_and_the_overall_score_last() -> None:
    schema = answer_schema(SEVERAL, MODE)
    assert list(schema["properties"]) == ["rationale", "quality", "code_quality", "overall"] == schema["required"]
    assert schema["properties"]["overall"] == {"type": "integer", "minimum": 1, "maximum": 10}
    assert list(answer_schema(SEVERAL, "score_only")["properties"]) == ["quality", "code_quality", "overall"]


def test_the_schema_of_a_label_lens_holds_its_vocabulary() -> None:
    domains = answer_schema(LABELS, "score_only")["properties"]["domains"]
    assert domains["items"]["enum"] == ["Health", "E-commerce", "Business, finance and law"]
    assert domains["maxItems"] == 3


def test_a_lens_whose_name_ends_in_a_line_does_not_make_its_answers_slow_to_read() -> None:
    # Doubled with every space, this took hours.
    answer = "Score: 3" + " " * 60 + "and so on"
    assert parse_answer(answer, replace(LENS, name="edu_"), MODE).fault == "ambiguous_answer"
