"""By likeness to examples of tasks in a language model's own representation: RDS+.

What belongs here: the pooling of hidden states, likeness to task examples, taking turns, the strategy. What does not:
tokens, batches and task examples (`lm_texts.py`), vectors of the embedding stage (this model makes its own).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.lm_texts import (
    BATCH_TOKENS,
    Batch,
    LanguageModel,
    TaskExamples,
    TokenBatches,
    Unreadable,
    reading_order,
    task_examples,
)
from datashop_assets.selection.pool import Floats, LeftOut, Pool, Ranking, Rows, SelectionError, best_first


@dataclass(frozen=True)
class RdsPlus:
    """RDS+ (Ivison et al. 2025, "Large-Scale Data Selection for Instruction Tuning", arXiv 2503.01807, section 3).

    A text is the mean of the model's last hidden states (after its last normalisation), token i of n with weight
    i / (1 + ... + n), of its first `max_tokens` tokens; padding has no weight. Likeness is the cosine. Then, as in the
    paper, turns are taken in the order in which examples and tasks are given:

    - one task: by its examples; each takes the document that is most like it of those not yet taken;
    - several tasks: by the tasks; a document's likeness to a task is that to its nearest example.

    A turn is never lost: where its first choice is gone, an example takes the next (the authors' code lets that turn
    pass). A document that equals an example is the first to be chosen: keep what is to be evaluated on out of `tasks`.
    Memory: 12 bytes for each document and taker of turns.

    Left out are blank texts. Raises SelectionError for tasks without examples, examples that the model cannot read,
    and where it has no room for `max_tokens`.
    """

    lm: LanguageModel
    tasks: Mapping[str, Sequence[str]]
    max_tokens: int = 1024
    name: str = "rds_plus"

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:
        examples = task_examples(self.tasks)
        shown = tuple((name, tuple(texts)) for name, texts in self.tasks.items())
        key = ("rds_plus", self.lm, shown, self.max_tokens)
        liked, unread = pool.once(key, lambda: self._read(pool, examples))
        known = np.flatnonzero(np.isfinite(liked).all(axis=1))
        tokens = pool.rows["tokens"].to_numpy()
        order, takers = take_turns(liked, known, pool.draws(seed), tokens, budget)
        tasks = examples.task[takers] if len(examples.names) == 1 else takers
        left_out = dict(unread)
        rest = {
            Unreadable.NOT_FINITE.value: len(pool) - len(known) - unread.total(),
            LeftOut.OVER_BUDGET.value: len(known) - len(order),
        }
        left_out |= {reason: count for reason, count in rest.items() if count}
        reasons = [f"task:{examples.names[task]}" for task in tasks]
        return Ranking(order, reasons, liked[order, takers].astype(np.float64), left_out)

    def _read(self, pool: Pool, examples: TaskExamples) -> tuple[NDArray[np.float32], Counter[str]]:
        """How like each document is to each taker of turns, and how many cannot be read, by reason."""
        model, tokenizer = self.lm()
        batches = TokenBatches(pool.texts, reading_order(pool), model, tokenizer, self.max_tokens, BATCH_TOKENS)
        return self._likeness(examples, batches, len(pool)), batches.left_out

    def _likeness(self, examples: TaskExamples, batches: TokenBatches, rows: int) -> NDArray[np.float32]:
        """Cosine to each example of the one task, or to each task: [rows, takers], nan where there is no text."""
        model, tokenizer = batches.model, batches.tokenizer
        wanted = TokenBatches(examples.of, examples.rows(), model, tokenizer, self.max_tokens, BATCH_TOKENS)
        shown: NDArray[np.float32] | None = None
        for batch in wanted:
            vectors = pooled(model, batch)
            shown = np.zeros((len(examples.texts), vectors.shape[1]), np.float32) if shown is None else shown
            shown[batch.rows] = vectors
        examples.refuse(wanted.left_out)
        if shown is None or not np.isfinite(shown).all():
            raise SelectionError("the model's hidden states of the task examples are not finite; use another model")
        one_task, starts = len(examples.names) == 1, np.flatnonzero(np.diff(examples.task, prepend=-1))
        liked = np.full((rows, len(examples.texts) if one_task else len(starts)), np.nan, np.float32)
        for batch in batches:
            cosines = pooled(model, batch) @ shown.T
            liked[batch.rows] = cosines if one_task else np.maximum.reduceat(cosines, starts, axis=1)
        return liked


def pooled(model: Any, batch: Batch) -> NDArray[np.float32]:
    """The position-weighted mean of the last hidden states, of unit length: float32 of shape [rows, hidden]."""
    import torch

    with torch.inference_mode():
        states = model.base_model(input_ids=batch.ids, use_cache=False).last_hidden_state.float()
        weights = (batch.real.cumsum(dim=1) * batch.real).to(states.dtype)
        vectors = (states * (weights / weights.sum(dim=1, keepdim=True)).unsqueeze(2)).sum(dim=1)
        found: NDArray[np.float32] = torch.nn.functional.normalize(vectors, dim=1).cpu().numpy()
    return found


def take_turns(
    liked: NDArray[np.float32], rows: Rows, draws: Floats, tokens: NDArray[np.int64], budget: Budget
) -> tuple[Rows, Rows]:
    """Which of the rows are taken one after another, and by whom, until the budget is spent.

    `liked` is of shape [all rows, takers]; each taker in turn takes the row not yet taken that it likes most, of equals
    the one with the greatest draw.
    """
    wishes = [best_first(rows, liked[:, taker].astype(np.float64), draws) for taker in range(liked.shape[1])]
    reached = [0] * len(wishes)
    gone = np.zeros(len(liked), bool)
    order: list[int] = []
    takers: list[int] = []
    spent = 0
    while len(order) < len(rows) and not budget.spent(len(order), spent):
        taker = len(order) % len(wishes)
        while gone[wishes[taker][reached[taker]]]:
            reached[taker] += 1
        row = int(wishes[taker][reached[taker]])
        gone[row] = True
        spent += int(tokens[row])
        order.append(row)
        takers.append(taker)
    return np.array(order, np.int64), np.array(takers, np.int64)
