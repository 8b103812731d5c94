"""By how well a causal language model predicts a document: its perplexity.

What belongs here: perplexities of texts, and the strategy that orders by them. What does not: tokens and batches
(`lm_texts.py`), bits a byte of evaluation slices (the evaluation stage).
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.lm_texts import (
    Batch,
    LanguageModel,
    TokenBatches,
    Unreadable,
    logits_batch_tokens,
    reading_order,
)
from datashop_assets.selection.pool import Floats, Pool, Ranking, best_first


@dataclass(frozen=True)
class Perplexity:
    """Documents by exp of the mean negative log-likelihood, in nats, of their tokens, each given those before it.

    Of the document's own text, without any prompt, from the second token on (the first is predicted from nothing), of
    its first `max_tokens` tokens. `direction`:

    - `middle`: nearest to the pool's median in log-perplexity first. The middle of the distribution gave the best
      pre-training data from web text (Marion et al. 2023, "When Less Is More") and from Dolma, but the highest did from
      the Pile (Ankner et al. 2024, "Perplexed by Perplexity"): compare them on the corpus at hand.
    - `lowest`: what the model predicts best first; favours boilerplate and repetition.
    - `highest`: what it predicts worst first, the perplexity baseline of DS2 (Pang et al. 2025, section 5) as far as
      is known; favours what is no language.

    Left out are texts of fewer than two tokens. Raises SelectionError where the model has no room for `max_tokens`.
    """

    lm: LanguageModel
    direction: Literal["lowest", "highest", "middle"] = "middle"
    max_tokens: int = 1024
    name: str = "perplexity"

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:  # noqa: ARG002 - every document is read
        measured, unread = pool.once(("perplexity", self.lm, self.max_tokens), lambda: self._read(pool))
        left_out = unread.copy()
        known = np.flatnonzero(np.isfinite(measured))
        centre = np.median(measured[known]) if len(known) else 0.0
        liking = {"lowest": -measured, "highest": measured, "middle": -np.abs(measured - centre)}[self.direction]
        order = best_first(known, liking, pool.draws(seed))
        if broken := len(pool) - len(known) - left_out.total():
            left_out[Unreadable.NOT_FINITE.value] = broken
        reasons = [f"{self.direction}_perplexity"] * len(order)
        return Ranking(order, reasons, np.exp(measured[order]), dict(left_out))

    def _read(self, pool: Pool) -> tuple[Floats, Counter[str]]:
        """The documents' mean negative log-likelihoods, and how many cannot be read, by reason."""
        model, tokenizer = self.lm()
        tokens = logits_batch_tokens(model)
        batches = TokenBatches(pool.texts, reading_order(pool), model, tokenizer, self.max_tokens, tokens, least=2)
        return mean_nlls(model, batches, len(pool)), batches.left_out


def mean_nlls(model: Any, batches: Iterable[Batch], rows: int) -> Floats:
    """Mean negative log-likelihood a token, in nats: float64 of shape [rows], nan where no batch has the row."""
    import torch

    measured = np.full(rows, np.nan)
    for batch in batches:
        with torch.inference_mode():
            nlls = token_nlls(model(input_ids=batch.ids, use_cache=False).logits, batch.ids)
            predicted = batch.real[:, 1:]
            means = (nlls.double() * predicted).sum(dim=1) / predicted.sum(dim=1)
        measured[batch.rows] = means.cpu().numpy()
    return measured


def token_nlls(logits: Any, ids: Any) -> Any:
    """Negative log-likelihood of each token but the first: [rows, tokens, vocabulary] and [rows, tokens] give
    [rows, tokens - 1], padding included."""
    from torch.nn.functional import cross_entropy

    # Of all positions, the last one's meaningless value dropped: a view of the logits without it would be copied, in an
    # order in which this takes four times as long (1,280 tokens of SmolLM2: 0.16 against 0.64 CPU seconds).
    following = ids.roll(-1, dims=1)
    flat = cross_entropy(logits.flatten(0, 1).float(), following.flatten(), reduction="none")
    return flat.view(ids.shape)[:, :-1]
