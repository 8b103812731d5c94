"""By influence on task examples, estimated from gradients: LESS.

What belongs here: the influence of documents on tasks, and the strategy. What does not: adapters (`lm_lora.py`),
gradients (`lm_gradients.py`), the projection (`lm_projection.py`), tokens and task examples (`lm_texts.py`).
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.lm_gradients import features, gradient_batch_rows
from datashop_assets.selection.lm_lora import Checkpoint, LoraSettings, adapted, adapters, warm_up
from datashop_assets.selection.lm_projection import Projection
from datashop_assets.selection.lm_texts import (
    BATCH_TOKENS,
    CHUNK,
    LanguageModel,
    TaskExamples,
    TokenBatches,
    Unreadable,
    reading_order,
    task_examples,
    tokenised,
)
from datashop_assets.selection.pool import Floats, Pool, Ranking, SelectionError, best_first

LEAST_TOKENS = 2  # the first token is predicted from nothing


@dataclass(frozen=True)
class Less:
    """LESS (Xia et al. 2024, "LESS: Selecting Influential Data for Targeted Instruction Tuning", sections 3 and 4).

    1. LoRA adapters are trained for a few epochs on a random few per cent of the pool (`lora`).
    2. At the checkpoint after each epoch: of each pool document the step that Adam would take for it alone, of each
       task example the plain gradient; of the mean token loss of the first `max_tokens` tokens, by the adapters'
       parameters, projected by random signs to `dimension` values (at most: as they are where there are fewer).
    3. Influence on a task: the mean over its examples of the cosine between the two, as the authors' code has it (the
       paper's formula has the cosine with the mean gradient), averaged over checkpoints by the epoch's mean learning
       rate. In [-1, 1].
    4. Documents by their greatest influence on any task.

    The paper projects to 8,192 values. At 2,048 an inner product of unit vectors has a standard error of .022.
    Cost: a forward and a backward pass for each document and epoch; with SmolLM2-135M, 504 documents of 64 tokens and
    one epoch 0.8 documents a CPU second, the warm-up included.

    Left out are texts of fewer than two tokens. Raises SelectionError for tasks without examples, examples that the
    model cannot read, where it has no room for `max_tokens` or no modules to adapt, and where the warm-up breaks.
    """

    lm: LanguageModel
    tasks: Mapping[str, Sequence[str]]
    lora: LoraSettings = field(default_factory=LoraSettings)
    dimension: int = 2048
    max_tokens: int = 512
    name: str = "less"

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:  # noqa: ARG002 - every document is read
        examples, draws = task_examples(self.tasks), pool.draws(seed)
        shown = tuple((name, tuple(texts)) for name, texts in self.tasks.items())
        key = ("less", self.lm, shown, self.lora, self.dimension, self.max_tokens, seed)
        influence, unread = pool.once(key, lambda: self._read(pool, examples, seed))
        left_out = unread.copy()
        known = np.flatnonzero(np.isfinite(influence).all(axis=1))
        best = np.full(len(pool), np.nan)
        best[known] = influence[known].max(axis=1)
        order = best_first(known, best, draws)
        if broken := len(pool) - len(known) - left_out.total():
            left_out[Unreadable.NOT_FINITE.value] = broken
        reasons = [f"task:{examples.names[task]}" for task in influence[order].argmax(axis=1)]
        return Ranking(order, reasons, best[order], dict(left_out))

    def _read(self, pool: Pool, examples: TaskExamples, seed: int) -> tuple[Floats, Counter[str]]:
        """Each document's influence on each task, and how many cannot be read, by reason."""
        model, tokenizer = self.lm()
        draws = pool.draws(seed)
        warming = warm_up_sequences(pool, draws, tokenizer, self.max_tokens, self.lora)
        with adapted(model, self.lora, seed) as trained:
            most = gradient_batch_rows(adapters(trained))
            documents, shown = (
                TokenBatches(texts, rows, model, tokenizer, self.max_tokens, BATCH_TOKENS, LEAST_TOKENS, most)
                for texts, rows in ((pool.texts, reading_order(pool)), (examples.of, examples.rows()))
            )
            if warming:
                checkpoints = warm_up(trained, warming, self.lora, seed)
                projection = Projection(self.dimension, seed)
                influence = influences(trained, checkpoints, documents, shown, examples, projection, len(pool))
            else:
                influence = np.full((len(pool), len(examples.names)), np.nan)
                deque(documents, maxlen=0)  # nothing can be read: this counts why
        return influence, documents.left_out


def influences(
    model: Any,
    checkpoints: Sequence[Checkpoint],
    documents: TokenBatches,
    shown: TokenBatches,
    examples: TaskExamples,
    projection: Projection,
    rows: int,
) -> Floats:
    """Influence of each row on each task: float64 of shape [rows, tasks], nan where there is none.

    Raises SelectionError where an example cannot be read or has no gradient.
    """
    weights = np.array([checkpoint.learning_rate for checkpoint in checkpoints])
    influence = np.full((rows, len(examples.names)), np.nan)
    for number, (checkpoint, weight) in enumerate(zip(checkpoints, weights / weights.sum(), strict=True)):
        goals = task_goals(model, checkpoint, shown, examples, projection)
        for read, unit in features(model, checkpoint, documents, projection, adam=True):
            cosines = (unit @ goals.T).astype(np.float64)
            influence[read] = weight * cosines + (influence[read] if number else 0.0)
    return influence


def task_goals(
    model: Any, checkpoint: Checkpoint, shown: TokenBatches, examples: TaskExamples, projection: Projection
) -> NDArray[np.float32]:
    """The mean of the unit gradients of each task's examples: float32 of shape [tasks, dimension].

    Its product with a unit vector is the mean cosine. Raises SelectionError where an example has none.
    """
    read = list(features(model, checkpoint, shown, projection, adam=False))
    examples.refuse(shown.left_out)
    rows, units = np.concatenate([rows for rows, _ in read]), np.concatenate([unit for _, unit in read])
    if not np.isfinite(units).all():
        raise SelectionError("a task example's gradient is zero or not finite; use another model or example")
    return np.stack([units[examples.task[rows] == task].mean(axis=0) for task in range(len(examples.names))])


def warm_up_sequences(
    pool: Pool, draws: Floats, tokenizer: Any, max_tokens: int, settings: LoraSettings
) -> list[NDArray[np.int32]]:
    """The tokens of the documents of the greatest draws that can be read, as many as the warm-up asks for."""
    wanted = settings.documents(len(pool))
    drawn = best_first(np.arange(len(pool)), draws)
    found: list[NDArray[np.int32]] = []
    for start in range(0, len(drawn), CHUNK):
        if len(found) >= wanted:
            break
        texts = pool.texts([int(row) for row in drawn[start : start + CHUNK]])
        sequences = tokenised(tokenizer, texts, max_tokens)
        found += [ids for ids, text in zip(sequences, texts, strict=True) if text.strip() and len(ids) >= LEAST_TOKENS]
    return found[:wanted]
