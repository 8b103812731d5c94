"""Gradients by document equal those of each document alone; Adam's direction is the step that Adam takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datashop_assets.selection.lm_gradients import adam_direction, features, gradients
from datashop_assets.selection.lm_lora import BETAS, EPSILON, Checkpoint, LoraSettings, adapted, adapters, warm_up
from datashop_assets.selection.lm_projection import Projection
from datashop_assets.selection.lm_texts import TokenBatches, padded, tokenised
from datashop_assets.selection.pool import SelectionError
from datashop_assets_tests.selection.language_model_pools import TinyModel, some_texts

SETTINGS = LoraSettings(rank=2, alpha=8, epochs=2, batch_documents=4, learning_rate=0.05)


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    return TinyModel(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def trained(lm: TinyModel) -> Iterator[tuple[Any, list[Checkpoint]]]:
    with adapted(lm.model, SETTINGS, 0) as model:
        yield model, warm_up(model, tokenised(lm.tokenizer, some_texts(12), 64), SETTINGS, 0)


def gradient_alone(model: Any, checkpoint: Checkpoint, ids: Any) -> Any:
    """The gradient of the loss that transformers computes, by one backward pass for one document."""
    import torch

    with torch.no_grad():
        for name, parameter in adapters(model).items():
            parameter.copy_(checkpoint.parameters[name])
    model.zero_grad()
    model(input_ids=ids[None], labels=ids[None]).loss.backward()
    return torch.cat([parameter.grad.flatten() for parameter in adapters(model).values()])


def test_gradients_of_a_batch_are_those_of_each_document_alone(
    lm: TinyModel, trained: tuple[Any, list[Checkpoint]]
) -> None:
    import torch

    model, checkpoints = trained
    sequences = tokenised(lm.tokenizer, some_texts(6, seed=3), 64)
    ids, real = padded(sequences, "cpu")
    found = gradients(model, checkpoints[0].parameters, ids, real)
    assert len({len(sequence) for sequence in sequences}) > 1
    for row, sequence in enumerate(sequences):
        alone = gradient_alone(model, checkpoints[0], torch.from_numpy(sequence).long())
        assert torch.allclose(found[row], alone, atol=1e-6 * float(alone.abs().max()) + 1e-7, rtol=1e-3)


@pytest.mark.parametrize("epoch", [0, 1])
def test_adams_direction_is_the_step_that_torchs_adam_takes(
    lm: TinyModel, trained: tuple[Any, list[Checkpoint]], epoch: int
) -> None:
    import torch

    _, checkpoints = trained
    checkpoint = checkpoints[epoch]
    gradient = torch.randn((3, len(checkpoint.mean)), generator=torch.Generator().manual_seed(1)) * 1e-2
    found = adam_direction(gradient, checkpoint)
    for row in range(3):
        parameter = torch.nn.Parameter(torch.zeros_like(checkpoint.mean))
        optimiser = torch.optim.Adam([parameter], lr=1.0, betas=BETAS, eps=EPSILON)
        optimiser.state[parameter] = {
            "step": torch.tensor(float(checkpoint.steps)),
            "exp_avg": checkpoint.mean.clone(),
            "exp_avg_sq": checkpoint.square.clone(),
        }
        parameter.grad = gradient[row].clone()
        optimiser.step()
        assert torch.allclose(found[row], -parameter.detach(), rtol=1e-4, atol=1e-6)


def test_the_warm_up_lowers_the_loss_and_keeps_each_epochs_state(
    lm: TinyModel, trained: tuple[Any, list[Checkpoint]]
) -> None:
    import torch

    model, checkpoints = trained
    assert [checkpoint.steps for checkpoint in checkpoints] == [3, 6]
    assert checkpoints[0].learning_rate > checkpoints[1].learning_rate > 0
    losses = []
    for ids in tokenised(lm.tokenizer, some_texts(12), 64):
        row = torch.from_numpy(ids).long()[None]
        with torch.inference_mode():
            after = float(model(input_ids=row, labels=row).loss)
            with model.disable_adapter():
                losses.append((float(model(input_ids=row, labels=row).loss), after))
    before, after = np.mean(losses, axis=0)
    assert after < before - 0.1


def test_the_model_is_left_as_it_was(lm: TinyModel) -> None:
    import torch

    names = [name for name, _ in lm.model.named_parameters()]
    ids = torch.tensor([[5, 6, 7]])
    with torch.inference_mode():
        before = lm.model(input_ids=ids).logits.clone()
    state = torch.random.get_rng_state()
    with adapted(lm.model, SETTINGS, 0) as model:
        warm_up(model, tokenised(lm.tokenizer, some_texts(4), 64), SETTINGS, 0)
        assert 0 < len(adapters(model)) < len(list(model.parameters()))
    assert [name for name, _ in lm.model.named_parameters()] == names
    assert all(parameter.requires_grad for parameter in lm.model.parameters())
    assert not lm.model.training
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.inference_mode():
        assert torch.equal(lm.model(input_ids=ids).logits, before)


def test_the_model_is_freed_of_adapters_when_something_breaks(lm: TinyModel) -> None:
    with pytest.raises(KeyboardInterrupt), adapted(lm.model, SETTINGS, 0):
        raise KeyboardInterrupt
    assert not [name for name, _ in lm.model.named_parameters() if "lora" in name]


def test_a_model_without_the_modules_is_refused(lm: TinyModel) -> None:
    with (
        pytest.raises(SelectionError, match="no modules"),
        adapted(lm.model, LoraSettings(modules=("c_attn",)), 0),
    ):
        pass


def test_a_warm_up_that_breaks_says_so(tmp_path: Path) -> None:
    broken = TinyModel(tmp_path)
    broken.model.model.norm.weight.data.fill_(float("nan"))
    with pytest.raises(SelectionError, match="not finite"), adapted(broken.model, SETTINGS, 0) as model:
        warm_up(model, tokenised(broken.tokenizer, some_texts(4), 64), SETTINGS, 0)


@pytest.mark.parametrize("adam", [True, False], ids=["as Adam steps", "plain"])
def test_features_are_projected_gradients_of_unit_length(
    lm: TinyModel, trained: tuple[Any, list[Checkpoint]], adam: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr("datashop_assets.selection.lm_gradients.GATHERED_BYTES", 1)  # more lots than one
    model, checkpoints = trained
    texts, project = some_texts(9, seed=4), Projection(64, 0)
    read = TokenBatches(lambda rows: [texts[n] for n in rows], np.arange(9), lm.model, lm.tokenizer, 64, 90, 2)
    found = np.zeros((9, 64))
    for rows, unit in features(model, checkpoints[1], read, project, adam=adam):
        found[rows] = unit
    for row, ids in enumerate(tokenised(lm.tokenizer, texts, 64)):
        alone = gradient_alone(model, checkpoints[1], torch.from_numpy(ids).long())[None]
        alone = adam_direction(alone, checkpoints[1]) if adam else alone
        expected = project(alone.numpy())[0]
        assert np.allclose(found[row], expected / np.linalg.norm(expected), atol=1e-3)
