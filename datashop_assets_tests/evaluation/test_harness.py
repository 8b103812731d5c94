"""The harness on local files: what it measures agrees with the model's own probabilities."""

import math
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.evaluation.harness import evaluate, read_samples
from datashop_assets.evaluation.results import ModelResults
from datashop_assets.evaluation.slices import SLICE_SCHEMA
from datashop_assets.evaluation.tasks import write_tasks
from datashop_assets.mmlu import mmlu_questions
from datashop_assets_tests.tiny_models import make_tiny_llama

TEXTS = {"x": "the water of the river", "y": "and the sea {{ 1 + 1 }} — 漢字"}


@pytest.mark.models
def test_bits_per_byte_and_accuracy_are_those_of_the_model_itself(tmp_path: Path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = make_tiny_llama(tmp_path / "model")
    slices = pl.DataFrame({"slice": ["good"] * 2, "id": list(TEXTS), "text": list(TEXTS.values())}, schema=SLICE_SCHEMA)
    questions = mmlu_questions(6)
    write_tasks(tmp_path / "tasks", questions, slices)
    heard: list[str] = []
    results = evaluate("tiny", model, tmp_path / "tasks", lambda task, _: heard.append(task.task), threads=1)
    assert heard == ["mmlu_dev", "slice_good"]
    quiz, good = results.tasks
    assert set(quiz.ids) == {question.id for question in questions}
    assert set(quiz.values) <= {0.0, 1.0}
    tokenizer, weights = AutoTokenizer.from_pretrained(model), AutoModelForCausalLM.from_pretrained(model)
    for id_, bits, size in zip(good.ids, good.values, good.weights, strict=True):
        ids = torch.tensor([[tokenizer.eos_token_id, *tokenizer(TEXTS[id_])["input_ids"]]])
        with torch.no_grad():
            nats = weights(input_ids=ids, labels=ids).loss.item() * (ids.shape[1] - 1)
        assert bits == pytest.approx(nats / math.log(2), rel=1e-4)
        assert size == len(TEXTS[id_].encode())
    assert ModelResults.from_json(results.to_json()) == results


def test_samples_are_put_in_order_and_log_likelihoods_become_bits():
    logged = [
        {"doc_id": 1, "doc": {"id": "b"}, "bits_per_byte": (-math.log(2) * 30, 10)},
        {"doc_id": 0, "doc": {"id": "a"}, "bits_per_byte": (-math.log(2) * 10, 10)},
    ]
    task = read_samples("slice_good", logged)
    assert task.ids == ("a", "b")
    assert task.values == pytest.approx((10, 30))
    assert task.score == pytest.approx(2.0)
    assert not task.higher_is_better


def test_a_folder_without_tasks_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="holds no task"):
        evaluate("x", tmp_path, tmp_path)
