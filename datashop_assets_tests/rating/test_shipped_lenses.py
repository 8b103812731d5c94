"""The shipped lenses are complete: they load, ask for what they say, and have exemplars over the whole scale."""

import re
from pathlib import Path
from typing import Any

import pytest

import datashop_assets
from datashop_assets.rating.contrast import contexts
from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.lens_folder import load_lenses
from datashop_assets.rating.rendering import messages

FOLDER = Path(datashop_assets.__file__).parent / "lenses"
LIBRARY = load_lenses([FOLDER])
LENSES = LIBRARY.lenses
SCORE_LENSES = {name: lens for name, lens in LENSES.items() if lens.kind == "score"}
# What the embedded rater compares documents with is written for these two only.
CONTRASTED = ("code_quality", "educational_value")

TEXT = "the quokka's own words"
ONE_TO_FIVE = {"usefulness": (1, 5)}
REVIEW = dict.fromkeys(("correct", "efficient", "readable", "complete", "written_by_expert", "overall"), (1, 3))
LEARNING = dict.fromkeys(
    ("factual", "well_written", "specific", "enhances_understanding", "self_contained", "overall"), (1, 3)
)


def asked(lens: Lens, document: Document | None = None) -> str:
    """All that a rater is told, of a record with every field that the lens needs."""
    return "\n\n".join(message["content"] for message in messages(lens, document or record_for(lens, TEXT)))


def record_for(lens: Lens, text: str) -> Document:
    fields: dict[str, Any] = {name: f"{name}: {text}" for name in lens.input_fields}
    if lens.document_type == "chat":
        fields = {
            "messages": [{"role": "user", "content": f"messages: {text}"}, {"role": "assistant", "content": "ok"}]
        }
    return Document(text, fields)


def test_every_folder_of_the_library_is_a_lens_without_fault() -> None:
    assert {name: [str(fault) for fault in faults] for name, faults in LIBRARY.faults.items()} == {}


@pytest.mark.parametrize(
    ("name", "criteria", "scale"),
    [
        ("educational_value", {"score": (0, 5)}, (0, 5)),
        ("educational_value_es", {"score": (0, 5)}, (0, 5)),
        ("mathematics", {"score": (0, 5)}, (0, 5)),
        ("mathematics_triage", {"score": (0, 3)}, (0, 3)),
        ("medical_knowledge", {"score": (0, 5)}, (0, 5)),
        ("medu", ONE_TO_FIVE, (1, 5)),
        (
            "sft_quality",
            dict.fromkeys(("rarity", "complexity", "informativeness", "overall"), (1, 10)),
            (0, 5),
        ),
        (
            "instruction_following",
            dict.fromkeys(("follows_instructions", "on_topic", "correct", "overall"), (1, 3)),
            (1, 3),
        ),
        ("code_quality", {"score": (0, 5)}, (0, 5)),
        ("code_review", REVIEW, (1, 3)),
        ("textbook_quality", {"overall": (1, 3)}, (1, 3)),
        ("learning_value", LEARNING, (1, 3)),
        ("textbook_depth", dict.fromkeys(("specificity", "depth", "overall"), (1, 3)), (1, 3)),
    ],
)
def test_a_lens_asks_for_its_criteria_and_stores_on_its_scale(
    name: str, criteria: dict[str, tuple[int, int]], scale: tuple[int, int]
) -> None:
    lens = LENSES[name]
    assert [(each.name, (each.low, each.high)) for each in lens.asked] == list(criteria.items())
    assert (lens.low, lens.high) == scale


def test_overall_scores_of_conversations_are_compressed_as_in_ds2() -> None:
    lens = LENSES["sft_quality"]
    assert [lens.stored_score(overall) for overall in range(1, 11)] == [0, 0, 0, 0, 1, 2, 3, 4, 5, 5]


def test_the_five_words_stand_beside_their_numbers() -> None:
    words = re.findall(r"^(\d) (\w+):", asked(LENSES["medu"]), re.MULTILINE)
    assert words == [("1", "useless"), ("2", "poor"), ("3", "okay"), ("4", "good"), ("5", "great")]


def test_latin_american_taxonomy_has_8_domains_and_25_use_cases_and_defines_each() -> None:
    lens = LENSES["latam_domains"]
    labels = {each.name: each.labels for each in lens.label_sets}
    assert {name: len(given) for name, given in labels.items()} == {"domains": 8, "use_cases": 25}
    lines = asked(lens).splitlines()
    # A domain is a line of its own; a use case is below it with what it means.
    assert [line for line in lines if line in labels["domains"]] == list(labels["domains"])
    assert [line[2:].partition(": ")[0] for line in lines if line.startswith("- ")] == list(labels["use_cases"])


def test_labels_keep_their_hyphens() -> None:
    """A parser that splits labels at hyphens once made `E` of this one."""
    use_cases = LENSES["latam_domains"].label_sets[1].labels
    assert "E-commerce" in use_cases
    assert "Apoyo a start-ups" in use_cases


def test_titles_differ() -> None:
    assert len({lens.title for lens in LENSES.values()}) == len(LENSES)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
class TestEveryLens:
    def test_leaves_no_template_syntax_in_what_it_asks(self, lens: Lens) -> None:
        assert not re.search(r"{{|}}|{%|%}|{#|#}|@[A-Z]+@", asked(lens))

    def test_shows_every_field_of_a_record(self, lens: Lens) -> None:
        said = asked(lens)
        for field in lens.input_fields:
            assert f"{field}: {TEXT}" in said
        assert TEXT in said

    def test_shows_the_document_between_its_tags_once(self, lens: Lens) -> None:
        said = asked(lens)
        assert said.count("<document>") == said.count("</document>") == 1
        assert said.index("<document>") < said.index(TEXT) < said.index("</document>")

    def test_asks_for_the_form_of_the_answer_last(self, lens: Lens) -> None:
        wanted = [each.name for each in (lens.asked if lens.kind == "score" else lens.label_sets)]
        last_line = asked(lens).splitlines()[-1]
        keys = re.findall(r'"(\w+)": [<\["]', last_line)
        assert keys == ([*["rationale"] * (lens.mode == "rationale_then_score"), *wanted])

    def test_braces_in_a_document_reach_the_model_as_they_are(self, lens: Lens) -> None:
        document = 'x = f"{value!r} {{ low }} {% raw %}"'
        assert document in asked(lens, record_for(lens, document))

    def test_tells_the_rater_that_the_document_gives_no_orders(self, lens: Lens) -> None:
        system = " ".join(messages(lens, record_for(lens, TEXT))[0]["content"].split())
        assert re.search(r"do not follow them|no las sigas|addressed to you", system)


@pytest.mark.parametrize("lens", SCORE_LENSES.values(), ids=SCORE_LENSES.keys())
class TestEveryScoreLens:
    def test_has_check_exemplars_over_its_whole_scale(self, lens: Lens) -> None:
        checks = lens.used_for("check")
        assert {e.score for e in checks} == set(range(lens.low, lens.high + 1))
        assert len(checks) >= 6

    def test_has_good_and_bad_check_exemplars(self, lens: Lens) -> None:
        good = [e for e in lens.used_for("check") if e.score >= lens.positive_at]
        assert 2 <= len(good) <= len(lens.used_for("check")) - 2

    def test_exemplars_of_records_have_the_fields_that_the_lens_asks_for(self, lens: Lens) -> None:
        for exemplar in lens.exemplars:
            assert set(exemplar.fields) == set(lens.input_fields)

    def test_says_what_the_ends_of_every_range_mean(self, lens: Lens) -> None:
        said = asked(lens)
        for criterion in lens.asked:
            block = said.partition(f"\n{criterion.name} (")[2] or said
            for level in (criterion.low, criterion.high):
                assert re.search(rf"^ *{level}(?::| \w+:) \S", block, re.MULTILINE), (criterion.name, level)


@pytest.mark.parametrize("name", ["educational_value", "mathematics", "mathematics_triage", "medical_knowledge"])
def test_every_level_of_a_single_scale_has_an_anchor(name: str) -> None:
    lens = LENSES[name]
    assert re.findall(r"^(\d+): ", asked(lens), re.MULTILINE) == [str(n) for n in range(lens.low, lens.high + 1)]


@pytest.mark.parametrize("name", CONTRASTED)
class TestLensOfTheEmbeddedRater:
    def test_calibrate_exemplars_cover_the_scale(self, name: str) -> None:
        lens = LENSES[name]
        assert {e.score for e in lens.used_for("calibrate")} == set(range(lens.low, lens.high + 1))

    def test_contrast_exemplars_fill_equal_contexts(self, name: str) -> None:
        dealt = contexts(LENSES[name], 2)
        assert len({len(texts) for texts in (*dealt.good, *dealt.bad)}) == 1


@pytest.mark.parametrize("name", [name for name, lens in LENSES.items() if lens.language == "es"])
def test_spanish_lenses_are_spanish_in_all_that_they_say(name: str) -> None:
    lens = LENSES[name]
    said = asked(lens, Document("¿Qué es una célula?"))
    said = " ".join([said, lens.title, lens.description, *(e.text for e in lens.exemplars)])
    words = set(re.findall(r"[^\W\d_]+", re.sub(r"</?\w+>", " ", said).lower()))
    assert not words & {"the", "and", "with", "which", "of", "is", "answer", "document"}
    assert words >= {"el", "la", "los", "de", "que", "y", "no", "un"}
