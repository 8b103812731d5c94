"""A short LoRA warm-up of a causal language model, with the optimiser's state after each epoch.

What belongs here: putting adapters on a model and taking them off again, the warm-up, its checkpoints. What does not:
gradients of single documents (`lm_gradients.py`), training for its own sake (the annealing stage).
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.selection.lm_texts import batches, logits_batch_tokens, padded
from datashop_assets.selection.perplexity import token_nlls
from datashop_assets.selection.pool import SelectionError

BETAS, EPSILON = (0.9, 0.999), 1e-8  # Adam's usual constants, which the paper takes
LEARNING_RATE_WARMUP = 0.03
LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class LoraSettings:
    """The warm-up: which part of the pool, what is adapted, how it is trained.

    The paper trains models of 7 and 13 billion parameters with rank 128, alpha 512, learning rate 2e-5 and batches of
    32 on 5 % of 270,000 documents. The values here are for models of some hundred million parameters and
    pools of some thousand documents: a smaller rank, since cost and memory grow with it, and a larger learning rate,
    since there are a hundred times fewer steps.
    """

    share: float = 0.05
    least_documents: int = 32
    epochs: int = 4
    rank: int = 8
    alpha: int = 32
    dropout: float = 0.1
    modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    learning_rate: float = 2e-4
    batch_documents: int = 8

    def documents(self, pool: int) -> int:
        """How many documents of a pool the warm-up reads."""
        return min(pool, max(self.least_documents, math.ceil(self.share * pool)))


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Adapters after an epoch, and Adam's state: `mean` and `square` are float32 tensors of shape [parameters] on
    the CPU, the adapters one after another. `learning_rate` is the epoch's mean, `steps` are counted from the start."""

    parameters: dict[str, Any]
    mean: Any
    square: Any
    steps: int
    learning_rate: float


@contextmanager
def adapted(model: Any, settings: LoraSettings, seed: int) -> Iterator[Any]:
    """The model with new LoRA adapters, which alone are trained; afterwards the model is as it was.

    Raises SelectionError where the model has none of the modules.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    training, trained = model.training, [parameter.requires_grad for parameter in model.parameters()]
    if not any(name.rpartition(".")[2] in settings.modules for name, _ in model.named_modules()):
        raise SelectionError(f"the model has no modules {list(settings.modules)} to adapt; name some that it has")
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=list(settings.modules),
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        with_adapters: Any = get_peft_model(model, config)
    try:
        yield with_adapters
    finally:
        with_adapters.unload()
        for parameter, was in zip(model.parameters(), trained, strict=True):
            parameter.requires_grad_(was)
        model.train(training)


def adapters(model: Any) -> dict[str, Any]:
    """The trained parameters by name, in the model's order."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def warm_up(model: Any, sequences: Sequence[NDArray[np.int32]], settings: LoraSettings, seed: int) -> list[Checkpoint]:
    """Train the adapters for `settings.epochs` over the token sequences; a checkpoint after each epoch.

    Adam without weight decay, the learning rate from `learning_rate` linearly to zero after a warm-up of 3 % of the
    steps, gradients clipped at 1, every epoch in an order of its own. The loss is the mean over a batch's tokens. The
    same seed and sequences give the same checkpoints. Raises SelectionError where the loss is not finite.
    """
    import torch
    from transformers import get_linear_schedule_with_warmup

    with_warmup: Any = get_linear_schedule_with_warmup  # untyped in transformers
    trained = adapters(model)
    steps = math.ceil(len(sequences) / settings.batch_documents) * settings.epochs
    optimiser = torch.optim.Adam(list(trained.values()), settings.learning_rate, BETAS, EPSILON)
    schedule = with_warmup(optimiser, int(LEARNING_RATE_WARMUP * steps), steps)
    checkpoints: list[Checkpoint] = []
    model.train()
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # dropout
        for epoch in range(settings.epochs):
            order = np.random.default_rng([seed, epoch]).permutation(len(sequences))
            rates = []
            for start in range(0, len(order), settings.batch_documents):
                optimiser.zero_grad()
                _accumulate(model, [sequences[n] for n in order[start : start + settings.batch_documents]])
                torch.nn.utils.clip_grad_norm_(list(trained.values()), LARGEST_GRADIENT, error_if_nonfinite=False)
                rates.append(float(schedule.get_last_lr()[0]))
                optimiser.step()
                schedule.step()
            state = [optimiser.state[parameter] for parameter in trained.values()]
            checkpoints.append(
                Checkpoint(
                    parameters={name: parameter.detach().clone() for name, parameter in trained.items()},
                    mean=torch.cat([each["exp_avg"].flatten() for each in state]).cpu(),
                    square=torch.cat([each["exp_avg_sq"].flatten() for each in state]).cpu(),
                    steps=int(state[0]["step"]),
                    learning_rate=float(np.mean(rates)),
                )
            )
    model.eval()
    return checkpoints


def _accumulate(model: Any, sequences: Sequence[NDArray[np.int32]]) -> None:
    """The gradient of the mean loss of all these sequences' tokens, a few sequences at a time."""
    import torch

    tokens = sum(len(ids) - 1 for ids in sequences)
    # A backward pass keeps some copies of the logits, and every layer's activations
    for members in batches([len(ids) for ids in sequences], logits_batch_tokens(model) // 4, len(sequences)):
        ids, real = padded([sequences[member] for member in members], model.device)
        nlls = token_nlls(model(input_ids=ids, use_cache=False).logits, ids)
        loss = (nlls * real[:, 1:]).sum() / tokens
        if not torch.isfinite(loss):
            raise SelectionError("the warm-up's loss is not finite; lower the learning rate or use another model")
        loss.backward()
