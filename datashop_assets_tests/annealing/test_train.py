"""The training run: what it leaves, and that no kill changes it."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from datashop_assets.annealing.train import RESULT_FILE, AnnealError, StepLog, anneal, training_id
from datashop_assets.project import AnnealSettings
from datashop_assets_tests.tiny_models import make_tiny_llama

pytestmark = pytest.mark.models

SETTINGS = AnnealSettings(sequence_length=32, batch_size=2, tokens=640, checkpoint_steps=2, learning_rate=5e-3)
STEPS = 10


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llama(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def sequences() -> np.ndarray:
    pattern = np.tile(np.arange(1, 17, dtype=np.int32), 40)  # something to learn
    return pattern.reshape(20, 32)


@pytest.fixture(scope="module")
def undisturbed(model: Path, sequences: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("undisturbed") / "model"
    anneal(model, sequences, SETTINGS, output, threads=1)
    return output


def weights(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def test_the_loss_falls_the_rate_goes_to_zero_and_the_result_loads(model: Path, sequences: np.ndarray, tmp_path: Path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    logs: list[StepLog] = []
    result = anneal(model, sequences, SETTINGS, tmp_path / "model", logs.append, threads=1)
    assert [step for step, _ in result.losses] == list(range(1, STEPS + 1))
    assert result.losses[-1][1] < result.losses[0][1] - 0.2
    assert result.tokens == 640
    rates = [log.learning_rate for log in logs]
    assert rates[0] == pytest.approx(SETTINGS.learning_rate)
    assert np.allclose(np.diff(rates), -SETTINGS.learning_rate / STEPS)
    AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert AutoTokenizer.from_pretrained(tmp_path / "model").eos_token == "<eos>"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]  # no checkpoints or half models left


def test_finished_output_is_not_trained_again(model: Path, sequences: np.ndarray, undisturbed: Path):
    before = (undisturbed / "model.safetensors").stat().st_mtime_ns
    logs: list[StepLog] = []
    result = anneal(model, sequences, SETTINGS, undisturbed, logs.append)
    assert result.reused
    assert len(result.losses) == STEPS
    assert logs == []
    assert (undisturbed / "model.safetensors").stat().st_mtime_ns == before


def test_output_of_another_run_is_not_overwritten(model: Path, sequences: np.ndarray, undisturbed: Path):
    with pytest.raises(AnnealError, match="another model"):
        anneal(model, sequences + 1, SETTINGS, undisturbed)


KILLED = """
import json, os, signal, sys
from pathlib import Path
import numpy as np
from datashop_assets.annealing import train
from datashop_assets.project import AnnealSettings
model, data, output, moment = sys.argv[1:]
settings = AnnealSettings.model_validate_json(sys.stdin.read())

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def on_log(log):
    if moment == "step" and log.step == 5:
        die()

from transformers import Trainer, PreTrainedTokenizerBase
if moment == "checkpoint":
    whole = Trainer._save_rng_state
    Trainer._save_rng_state = lambda self, folder: die() if folder.endswith("-6") else whole(self, folder)
if moment == "publish":
    PreTrainedTokenizerBase.save_pretrained = die
train.anneal(Path(model), np.load(data), settings, Path(output), on_log, threads=1)
"""


@pytest.mark.parametrize(
    ("moment", "resumed_from"),
    [
        pytest.param("step", 4, id="killed between checkpoints"),
        pytest.param("checkpoint", 4, id="killed while a checkpoint is written"),
        pytest.param("publish", 10, id="killed while the model is written"),
    ],
)
def test_a_killed_run_goes_on_and_ends_with_the_weights_of_an_undisturbed_one(
    moment: str, resumed_from: int, model: Path, sequences: np.ndarray, undisturbed: Path, tmp_path: Path
):
    data, output = tmp_path / "data.npy", tmp_path / "model"
    np.save(data, sequences)
    command = [sys.executable, "-c", KILLED, str(model), str(data), str(output), moment]
    killed = subprocess.run(command, input=SETTINGS.model_dump_json(), text=True, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    assert not output.exists()
    result = anneal(model, sequences, SETTINGS, output, threads=1)
    assert result.resumed_from == resumed_from
    expected = json.loads((undisturbed / RESULT_FILE).read_text())["losses"]
    assert np.allclose(result.losses, expected, atol=1e-5)
    theirs = weights(undisturbed)
    for name, values in weights(output).items():
        assert np.allclose(values, theirs[name], atol=1e-6), name


def test_checkpoints_of_another_run_are_not_resumed(model: Path, sequences: np.ndarray, tmp_path: Path):
    data, output = tmp_path / "data.npy", tmp_path / "model"
    np.save(data, sequences)
    command = [sys.executable, "-c", KILLED, str(model), str(data), str(output), "step"]
    subprocess.run(command, input=SETTINGS.model_dump_json(), text=True, capture_output=True)
    assert (tmp_path / "model.checkpoints" / "checkpoint-4").exists()
    assert anneal(model, sequences + 1, SETTINGS, output, threads=1).resumed_from == 0


def test_a_broken_loss_stops_the_run_and_names_the_learning_rate(model: Path, sequences: np.ndarray, tmp_path: Path):
    wild = SETTINGS.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(AnnealError, match=r"learning_rate \(now 1e\+30\)"):
        anneal(model, sequences, wild, tmp_path / "model", threads=1)
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"filtered_share": 0.5}, True, id="the share is in the mixture, the control is unchanged"),
        pytest.param({"checkpoint_steps": 7}, True, id="how often it is saved changes no weight"),
        pytest.param({"document_tokens": 100}, False, id="documents are cut elsewhere"),
        pytest.param({"learning_rate": 1e-3}, False, id="another learning rate"),
        pytest.param({"seed": 1}, False, id="another seed"),
    ],
)
def test_a_models_id_changes_with_what_changes_its_weights(change: dict[str, float], same: bool):
    changed = SETTINGS.model_copy(update=change)
    assert (training_id("base", "mixture", changed) == training_id("base", "mixture", SETTINGS)) is same
