"""Task files for the harness, and the questions that it ships."""

import json
import re
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
import yaml

from datashop_assets.evaluation.slices import SLICE_SCHEMA
from datashop_assets.evaluation.tasks import task_names, tasks_id, write_tasks
from datashop_assets.mmlu import mmlu_questions, parse_prompt

SLICES = pl.DataFrame(
    {"slice": ["good", "good", "bad"], "id": ["1", "2", "3"], "text": ["a", "b {{x}}", "c"]}, schema=SLICE_SCHEMA
)


def test_all_four_option_questions_of_all_57_subjects_are_read():
    questions = mmlu_questions(None)
    assert len(questions) == 281
    assert len({question.id for question in questions}) == 281
    assert len({question.subject for question in questions}) == 57
    assert all(len(question.choices) == 4 and all(question.choices) for question in questions)
    # a parser that slipped would leave the next option's letter in a choice, or make one answer far too frequent
    assert not [choice for question in questions for choice in question.choices if re.search(r"\([A-E]\) ", choice)]
    assert min(Counter(question.answer for question in questions).values()) > 45


def test_a_question_reads_as_it_was_written():
    question = {question.id: question for question in mmlu_questions(None)}["anatomy/0"]
    assert question.question == "Which of the following is the body cavity that contains the pituitary gland?"
    assert question.choices == ("Abdominal", "Cranial", "Pleural", "Spinal")
    assert question.choices[question.answer] == "Cranial"


def test_fewer_questions_are_part_of_more_and_come_from_many_subjects():
    few, more = mmlu_questions(50), mmlu_questions(100)
    assert more[:50] == few
    assert len({question.subject for question in more}) > 40
    assert mmlu_questions(50, seed=1) != few
    assert mmlu_questions(0) == ()


def test_a_question_with_five_options_is_left_out():
    prompt = (
        "Questions about x.\n\nQ: How many?\n(A) 1 (B) 2 (C) 3 (D) 4 (E) 5\nA: Let's think. The answer is (B).\n\n"
        "Q: Which\nof two lines?\n(A) one (B) two (C) both (D) none\nA: Think.\nMore. The answer is (C)."
    )
    (question,) = parse_prompt("x", prompt)
    assert (question.id, question.question, question.answer) == ("x/1", "Which\nof two lines?", 2)


def test_tasks_name_local_files_only_and_keep_every_row(tmp_path: Path):
    write_tasks(tmp_path / "tasks", mmlu_questions(3), SLICES)
    assert task_names(tmp_path / "tasks") == ("mmlu_dev", "slice_bad", "slice_good")
    for name, rows in {"mmlu_dev": 3, "slice_bad": 1, "slice_good": 2}.items():
        task = yaml.safe_load((tmp_path / "tasks" / f"{name}.yaml").read_text())
        assert task["dataset_path"] == "json"
        data = Path(task["dataset_kwargs"]["data_files"]["test"])
        assert data.is_absolute()
        assert len([json.loads(line) for line in data.read_text().splitlines()]) == rows


def test_without_questions_there_are_only_slices(tmp_path: Path):
    write_tasks(tmp_path / "tasks", (), SLICES)
    assert task_names(tmp_path / "tasks") == ("slice_bad", "slice_good")


def test_the_id_is_that_of_the_content_wherever_the_folder_lies(tmp_path: Path):
    for folder, count in (("here", 5), ("there", 5), ("other", 6)):
        write_tasks(tmp_path / folder, mmlu_questions(count), SLICES)
    assert tasks_id(tmp_path / "here") == tasks_id(tmp_path / "there") != tasks_id(tmp_path / "other")


def test_a_folder_in_use_is_refused(tmp_path: Path):
    (tmp_path / "old.yaml").write_text("task: old")
    with pytest.raises(FileExistsError, match="folder of their own"):
        write_tasks(tmp_path, (), SLICES)
