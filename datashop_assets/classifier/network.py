"""A dense layer, tanh, and a linear output for each task, trained by gradient descent on stored vectors.

What belongs here: the training loop that `pooler.py` (one task) and `multi_lens.py` (a task for each lens) share. What
does not: their settings, the trained head's arithmetic (`layers.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.classifier import metrics
from datashop_assets.classifier.dataset import TrainingError
from datashop_assets.classifier.layers import Layer, LayeredHead
from datashop_assets.classifier.recipes import Examples, Fit, Step
from datashop_assets.model_settings import NetworkSettings
from datashop_assets.rating.lens import Lens

# With fewer steps the report warns: at 60 of them, of batches of 2,800, ranks of held-out texts were those of chance
# (Spearman 0.004, 585 texts).
FEWEST_STEPS = 200
_FEW_STEPS = (
    "training had {steps} steps at most, which is little for gradient descent: more epochs or smaller batches, or a "
    "recipe without steps (linear, ordinal, softmax)"
)


@dataclass(frozen=True, eq=False)
class _Scaling:
    """What is done to inputs before the network and undone of the first task's output behind it."""

    shift: NDArray[np.float64]
    scale: float
    means: tuple[float, ...]
    spreads: tuple[float, ...]


def fit_network(
    form: str, tasks: Sequence[Examples], validation: Examples, lens: Lens, settings: NetworkSettings, seed: int
) -> Fit:
    """Train on the rows of all tasks together; the scorer is the first task's, as it was at the best epoch.

    The loss is the squared error weighted by row, each row counted at its own task's output alone: a text without a
    label of a lens has no part in that lens's loss. The best epoch is the one with the smallest MAE, or the largest
    macro-F1, on the first task's validation rows. AdamW (Loshchilov & Hutter 2019); on a GPU where there is one. Equal
    examples, settings and seed give an equal scorer on the same machine.
    """
    import torch
    from transformers import get_scheduler

    scaling = _scaling(tasks, settings)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = _network(len(scaling.shift), len(tasks), settings).to(device)
        data = [torch.from_numpy(values).to(device) for values in _rows_of(tasks, scaling)]
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        steps = settings.epochs * -(-len(data[0]) // settings.batch_size)
        schedule = get_scheduler(settings.schedule, optimizer, round(settings.warmup_share * steps), steps)
        best, best_epoch, best_figure = LayeredHead(form, _layers(network, scaling)), 0, np.inf
        log: list[Step] = []
        for epoch in range(1, settings.epochs + 1):
            loss = _epoch(network, data, optimizer, schedule, settings.batch_size)
            if not np.isfinite(loss):
                raise TrainingError(
                    f"the loss is {loss} after epoch {epoch}: the network diverged. Lower learning_rate, now "
                    f"{settings.learning_rate:g}."
                )
            now = LayeredHead(form, _layers(network, scaling))
            predictions = now.predict(np.asarray(validation.inputs))
            log.append(Step("epoch", epoch, loss, float(np.abs(predictions - validation.rated).mean())))
            figure = _figure(predictions, validation, lens, settings)
            if figure < best_figure:
                best, best_epoch, best_figure = now, epoch, figure
            if settings.patience is not None and epoch - best_epoch >= settings.patience:
                break
    notes = (_FEW_STEPS.format(steps=steps),) if steps < FEWEST_STEPS else ()
    return Fit(best, {"epoch": best_epoch}, tuple(log), notes)


def _network(dimension: int, outputs: int, settings: NetworkSettings) -> Any:
    from torch import nn

    hidden = settings.hidden or dimension
    dropout = nn.Dropout(settings.dropout)
    return nn.Sequential(nn.Linear(dimension, hidden), nn.Tanh(), dropout, nn.Linear(hidden, outputs))


def _epoch(network: Any, data: Sequence[Any], optimizer: Any, schedule: Any, batch_size: int) -> float:
    """One pass over the rows in random order; the mean loss of a row."""
    import torch

    network.train()
    vectors, targets, weights, columns = data
    total = torch.zeros((), device=vectors.device)
    for rows in torch.split(torch.randperm(len(vectors)).to(vectors.device), batch_size):
        outputs = network(vectors[rows]).gather(1, columns[rows, None])[:, 0]
        loss = (weights[rows] * (outputs - targets[rows]) ** 2).sum() / weights[rows].sum().clamp_min(1e-12)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.detach() * len(rows)
    return float(total) / len(vectors)


def _figure(predictions: NDArray[np.float32], validation: Examples, lens: Lens, settings: NetworkSettings) -> float:
    """What the best epoch has least of."""
    if settings.best_by == "macro_f1":
        return -metrics.macro_f1(metrics.confusion(validation.rated, predictions, lens))
    return float(np.abs(predictions - validation.rated).mean())


def _scaling(tasks: Sequence[Examples], settings: NetworkSettings) -> _Scaling:
    """To mean 0 and deviation 1, of all values of the vectors together and of each task's targets; or nothing.

    One scale for all values of a vector: where each had its own, one that hardly varies was blown up together with the
    rounding of its storage, and scores of float16 and float32 vectors differed by 0.03 (raw CLS states of MiniLM).
    """
    vectors = np.concatenate([task.inputs for task in tasks])
    if not settings.standardize:
        dimension = vectors.shape[1]
        return _Scaling(np.zeros(dimension), 1.0, (0.0,) * len(tasks), (1.0,) * len(tasks))
    variance = vectors.var(axis=0, dtype=np.float64).mean()
    return _Scaling(
        vectors.mean(axis=0, dtype=np.float64),
        float(np.sqrt(variance)) or 1.0,
        tuple(float(task.targets.mean()) for task in tasks),
        tuple(float(task.targets.std()) or 1.0 for task in tasks),
    )


def _rows_of(tasks: Sequence[Examples], scaling: _Scaling) -> tuple[NDArray[Any], ...]:
    """Of all rows, scaled: vectors, targets, weights, and which task's they are."""
    each = [
        (
            ((np.asarray(task.inputs) - scaling.shift) / scaling.scale).astype(np.float32),
            ((task.targets - scaling.means[number]) / scaling.spreads[number]).astype(np.float32),
            task.weights.astype(np.float32),
            np.full(len(task), number, np.int64),
        )
        for number, task in enumerate(tasks)
    ]
    return tuple(np.concatenate(values) for values in zip(*each, strict=True))


def _layers(network: Any, scaling: _Scaling) -> tuple[Layer, Layer]:
    """The network's layers for the first task, for vectors and scores as they are: the scaling is folded in."""
    dense, output = network[0], network[3]
    weight, bias, out, offset = (
        values.detach().cpu().double().numpy() for values in (dense.weight, dense.bias, output.weight, output.bias)
    )
    weight = weight / scaling.scale
    return (
        Layer(weight.astype(np.float32), (bias - weight @ scaling.shift).astype(np.float32), "tanh"),
        Layer(
            (out[:1] * scaling.spreads[0]).astype(np.float32),
            (offset[:1] * scaling.spreads[0] + scaling.means[0]).astype(np.float32),
        ),
    )
