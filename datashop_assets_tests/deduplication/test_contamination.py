"""Contamination: real questions in documents are found however they are set, and real documents are left in peace."""

import json
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.deduplication.contamination import build_index, contamination
from datashop_assets.deduplication.evaluation_sets import EvaluationSetError, Item, evaluation_items, items_id
from datashop_assets.deduplication_settings import ContaminationSettings, EvaluationTexts
from datashop_assets.mmlu import mmlu_questions
from datashop_assets_tests.deduplication.real_documents import real_texts

SETTINGS = ContaminationSettings()
QUESTIONS = mmlu_questions(None)


def judged(texts: list[str], *items: Item) -> pl.DataFrame:
    return contamination(texts, build_index(items or evaluation_items(SETTINGS), SETTINGS))


def page(question: str, choices: tuple[str, ...], letters: str) -> str:
    lines = [f"{letter}{choice}" for letter, choice in zip(letters.split(","), choices, strict=True)]
    return f"{real_texts(300)[5]}\n\n{question.upper()}\n" + "\n".join(lines) + f"\n\n{real_texts(300)[6]}"


@pytest.mark.parametrize("letters", ["A. ,B. ,C. ,D. ", "(a) ,(b) ,(c) ,(d) ", "* ,* ,* ,* "], ids=["A.", "(a)", "*"])
def test_every_question_that_a_page_copies_is_found_and_named(letters: str) -> None:
    found = judged([page(question.question, question.choices, letters) for question in QUESTIONS])
    named = [f"mmlu/{question.id}" for question in QUESTIONS]
    assert found["reason"].to_list() == ["contaminated"] * len(QUESTIONS)
    # some questions share their words with another one
    assert sum(item == name for item, name in zip(found["item"], named, strict=True)) >= 0.97 * len(QUESTIONS)


def test_real_documents_that_copy_none_are_left_in_peace() -> None:
    assert judged(list(real_texts(300)))["reason"].null_count() == 300


TWELVE = "what did the monks of the abbey build in the twelfth century"


@pytest.mark.parametrize(
    ("item", "document", "hit"),
    [
        pytest.param(TWELVE, f"They asked: {TWELVE.title()}?", True, id="a short item that stands whole"),
        pytest.param(TWELVE, "what did the monks of the abbey build", False, id="a part of a short item"),
        pytest.param("who built it", "Nobody knows who built it.", False, id="an item too short for the index"),
        pytest.param(f"{TWELVE} and why then", f"{TWELVE} and nothing else", True, id="thirteen words of a long item"),
        pytest.param(f"{TWELVE} and why then", f"{TWELVE} or never", False, id="twelve words of a long item"),
        pytest.param(TWELVE, "", False, id="an empty document"),
    ],
)
def test_what_counts_as_overlap(item: str, document: str, hit: bool) -> None:
    row = judged([document], Item("x/0", (item,))).row(0, named=True)
    assert (row["reason"] == "contaminated") is hit
    assert (row["matches"] > 0) is hit
    assert row["item"] == ("x/0" if hit else None)
    assert row["detail"] is None or row["detail"] in item


def test_the_item_with_most_matches_is_named() -> None:
    one, other = Item("x/1", (f"{TWELVE} and why then",)), Item("x/2", (f"{TWELVE} and of whose stones they built it",))
    assert judged([f"{TWELVE} and of whose stones they built it"], one, other)["item"][0] == "x/2"


def test_sets_of_the_users_own_are_read_from_files(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"q": TWELVE, "a": answer}) + "\n" for answer in ("a quay", ""))
    )
    pl.DataFrame({"q": ["another question"], "a": ["b"]}).write_parquet(tmp_path / "b.parquet")
    sets = EvaluationTexts(name="quiz", files=(f"{tmp_path}/*",), columns=("q", "a"))
    items = evaluation_items(ContaminationSettings(mmlu=False, sets=(sets,)))
    assert items == (
        Item("quiz/a.jsonl/0", (TWELVE, "a quay")),
        Item("quiz/a.jsonl/1", (TWELVE,)),
        Item("quiz/b.parquet/0", ("another question", "b")),
    )
    assert items_id(items) != items_id(items[:2])


@pytest.mark.parametrize(
    ("file", "content", "why"),
    [
        pytest.param("gone.jsonl", None, "'quiz': there is no file at", id="a file that is not there"),
        pytest.param("a.csv", "q\nx", "of no known format", id="a format that nothing reads"),
        pytest.param("a.jsonl", "{", "a.jsonl row 0: invalid_json", id="a line that is no JSON"),
        pytest.param("a.jsonl", '{"p": "x"}', "a.jsonl row 0: missing_column, q", id="a row without the column"),
    ],
)
def test_a_set_that_cannot_be_read_says_why(tmp_path: Path, file: str, content: str | None, why: str) -> None:
    if content is not None:
        (tmp_path / file).write_text(content)
    sets = EvaluationTexts(name="quiz", files=(str(tmp_path / file),), columns=("q",))
    with pytest.raises(EvaluationSetError, match=why):
        evaluation_items(ContaminationSettings(mmlu=False, sets=(sets,)))
