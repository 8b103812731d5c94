"""Fine-tuning: what is learnt, that a killed run ends as an undisturbed one, which checkpoint is taken."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from datashop_assets.classifier import fine_tune as module
from datashop_assets.classifier.fine_tune import EXAMPLES, fine_tune
from datashop_assets.classifier.fine_tune_recipe import scorer_in
from datashop_assets.classifier.fine_tune_trainer import FineTuneError
from datashop_assets.classifier.sequence_classification import TextModelError, files_digest
from datashop_assets.text_model_settings import FineTuneSettings
from datashop_assets_tests.tiny_text_models import WORDS, make_tiny_bert

pytestmark = pytest.mark.models

SCALE = (0, 5)


def text(worth: int, number: int) -> str:
    chance = np.random.default_rng([worth, number])
    return " ".join([*chance.choice(WORDS[:4], 2 * worth), *chance.choice(WORDS[4:], 10 - 2 * worth)])


def examples(train: int = 96, validation: int = 36, weight: float = 1.0) -> pl.DataFrame:
    worths = [number % 6 for number in range(train + validation)]
    rows = [
        (text(worth, number), float(worth), weight, float(worth), number >= train)
        for number, worth in enumerate(worths)
    ]
    return pl.DataFrame(rows, schema=EXAMPLES, orient="row")


def settings(**values: Any) -> FineTuneSettings:
    small = {"model": "-", "max_tokens": 32, "batch_size": 16, "learning_rate": 5e-3, "epochs": 10, "evaluate_steps": 6}
    return FineTuneSettings(**{**small, **values})


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_bert(tmp_path_factory.mktemp("base"), initializer_range=0.02)


def train(base: Path, output: Path, **values: Any) -> module.FineTuned:
    said = {name: values.pop(name) for name in ("say",) if name in values}
    rows = values.pop("examples", examples())
    return fine_tune(base, rows, settings(**values), SCALE, 0, output, threads=1, **said)


@pytest.fixture(scope="module")
def trained(base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, module.FineTuned]:
    output = tmp_path_factory.mktemp("trained") / "model"
    return output, train(base, output)


def test_it_learns_what_the_rater_does_and_transformers_loads_what_it_leaves(
    trained: tuple[Path, module.FineTuned],
) -> None:
    from transformers import pipeline

    output, done = trained
    unseen = [text(number % 6, 1000 + number) for number in range(60)]
    scores = scorer_in(output, 32).predict(unseen)
    assert np.abs(scores - np.arange(60) % 6).mean() < 1.0, "the mean would be off by 1.5"
    assert done.log[-1].mae < 1.0 < done.log[0].mae
    assert [measured.step for measured in done.log] == list(range(6, 61, 6))
    assert not output.with_name("model.checkpoints").exists()
    run = pipeline("text-classification", model=str(output), function_to_apply="none")
    assert [row["score"] for row in run(unseen)] == pytest.approx(scores.tolist(), abs=1e-4)
    assert {row["label"] for row in run(unseen)} == {"score"}


def test_the_checkpoint_that_is_best_on_validation_rows_is_the_one_that_is_left(base: Path, tmp_path: Path) -> None:
    done = train(base, tmp_path / "model", best_by="mae", learning_rate=2e-2, schedule="constant", epochs=12)
    best = min(done.log, key=lambda measured: measured.mae)
    assert done.best_step == best.step != done.log[-1].step, "the rate is too high for the last one to be the best"
    rows = examples().filter("validation")
    scores = scorer_in(tmp_path / "model", 32).predict(rows["text"].to_list())
    assert np.abs(scores - rows["rated"].to_numpy()).mean() == pytest.approx(best.mae, abs=1e-3)


def test_it_stops_early_where_nothing_gets_better(base: Path, tmp_path: Path) -> None:
    done = train(base, tmp_path / "model", best_by="mae", learning_rate=1e-9, patience=2)
    assert len(done.log) < 6


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@pytest.mark.parametrize("at", [2, 5], ids=["after the second checkpoint", "late"])
def test_a_killed_run_goes_on_and_ends_with_the_same_weights(
    base: Path, trained: tuple[Path, module.FineTuned], tmp_path: Path, at: int
) -> None:
    measured = []

    def killer(line: str) -> None:
        measured.append(line)
        if len(measured) == at + 1:
            raise Killed

    with pytest.raises(Killed):
        train(base, tmp_path / "model", say=killer)
    assert not (tmp_path / "model").exists()
    half = tmp_path / "model.checkpoints" / "checkpoint-99"
    half.mkdir()  # transformers was writing it
    done = train(base, tmp_path / "model")
    whole, undisturbed = trained
    assert done.resumed_from == 6 * at
    assert done.log == pytest.approx(undisturbed.log)
    assert done.best_step == undisturbed.best_step
    assert files_digest(tmp_path / "model") == files_digest(whole)


def test_what_is_finished_is_not_trained_again_and_another_run_does_not_take_its_place(
    base: Path, trained: tuple[Path, module.FineTuned], monkeypatch: pytest.MonkeyPatch
) -> None:
    output, done = trained
    monkeypatch.setattr(module, "run_training", lambda *_: pytest.fail("it was trained again"))
    again = train(base, output)
    assert again.reused
    assert (again.log, again.best_step) == (done.log, done.best_step)
    with pytest.raises(FineTuneError, match="holds another model than this run would make"):
        train(base, output, learning_rate=1e-5)
    assert json.loads((output / module.RESULT_FILE).read_text())["best_step"] == done.best_step


def test_rows_of_weight_0_teach_nothing(base: Path, tmp_path: Path) -> None:
    wrong = examples().with_columns(target=pl.when("validation").then("target").otherwise(5 - pl.col("target")))
    rows = pl.concat([examples(), wrong.filter(~pl.col("validation")).with_columns(weight=0.0)])
    train(base, tmp_path / "model", examples=rows)
    scores = scorer_in(tmp_path / "model", 32).predict([text(number % 6, 2000 + number) for number in range(60)])
    assert np.corrcoef(scores, np.arange(60) % 6)[0, 1] > 0.9


def test_where_memory_does_not_suffice_fewer_documents_are_held_at_once(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import BertForSequenceClassification

    forward, sizes, said = BertForSequenceClassification.forward, [], []

    def with_little_memory(self: Any, input_ids: Any, **rest: Any) -> Any:
        sizes.append(len(input_ids))
        if len(input_ids) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, input_ids=input_ids, **rest)

    monkeypatch.setattr(BertForSequenceClassification, "forward", with_little_memory)
    done = train(base, tmp_path / "model", epochs=1, say=said.append)
    assert max(sizes[-10:]) == 4
    assert said[:2] == [f"memory does not suffice: {size} documents at once from now on" for size in (8, 4)]
    assert done.log[-1].step == 6, "steps are of 16 documents all the same"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"precision": "bfloat16"}, "precision bfloat16 needs a GPU"),
        ({"learning_rate": 1e30, "schedule": "constant", "warmup_share": 0}, "lower the model's learning_rate"),
    ],
    ids=["bfloat16 without a GPU", "a learning rate that breaks it"],
)
@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_a_run_that_cannot_go_on_says_what_to_change(base: Path, tmp_path: Path, fault: dict, said: str) -> None:
    with pytest.raises(FineTuneError, match=said):
        train(base, tmp_path / "model", **fault)
    assert not (tmp_path / "model").exists()


def test_a_model_that_comes_as_code_is_refused_and_a_substitute_is_named(base: Path, tmp_path: Path) -> None:
    for file in base.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    code = {"AutoConfig": "code.Config", "AutoModelForSequenceClassification": "code.Model"}
    (tmp_path / "config.json").write_text(json.dumps(config | {"model_type": "new", "auto_map": code}))
    (tmp_path / "code.py").write_text("raise SystemExit('code of a model was run')")
    with pytest.raises(TextModelError, match="gte-modernbert-base is a native substitute"):
        train(tmp_path, tmp_path / "out" / "model")
