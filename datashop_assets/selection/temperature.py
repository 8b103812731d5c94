"""Sampling without replacement with scores as logits: between the best and a uniform draw.

What belongs here: the draw. What does not: a draw that no score weights (`random_draw.py`).

Sources: Wettig et al., "QuRating: Selecting High-Quality Data for Training Language Models", ICML 2024, on
sampling with ratings as logits; Sachdeva et al., "How to Train Data-Efficient LLMs", 2024, on drawing by quality scores
(Ask-LLM). The draw is the Gumbel top-k trick: Kool, van Hoof and Welling, "Stochastic Beams and Where to Find Them",
ICML 2019, section 2.
"""

from dataclasses import dataclass

import numpy as np

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.pool import Floats, LeftOut, Pool, Ranking, SelectionError, best_first, counted


@dataclass(frozen=True)
class TemperatureSampling:
    """Rows by score / `temperature` plus a standard Gumbel draw, descending.

    Any beginning of that order is a sample without replacement in which the next row is drawn from those left with
    probability proportional to exp(score / temperature). The temperature is in units of the lens's scale, scores are
    not normalised: at 1, a row rated 4 is drawn e times as probably as one rated 3. At 0 it is the best first, ties
    drawn; at infinity a uniform draw.

    With `curated` false the rater's score is used. The value is the score. Left out: unscored. Raises SelectionError
    for a temperature below 0.
    """

    temperature: float = 1.0
    curated: bool = True
    name: str = "temperature"

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise SelectionError(f"{self.name}: a temperature is 0 or more, not {self.temperature}")

    def rank(self, pool: Pool, seed: int, budget: Budget) -> Ranking:  # noqa: ARG002 - the draw has no end of its own
        quality = pool.quality(curated=self.curated)
        scored = np.flatnonzero(~np.isnan(quality))
        draws = pool.draws(seed)
        perturbed = _logits(quality, self.temperature) + _gumbel(draws)
        # The score again, for temperatures at which all logits but the best are minus infinity.
        order = best_first(scored, perturbed, quality, draws)
        reason = f"drawn_at_temperature_{self.temperature:g}"
        left_out = counted({LeftOut.UNSCORED: len(pool) - len(order)})
        return Ranking(order, [reason] * len(order), quality[order], left_out)


def _logits(quality: Floats, temperature: float) -> Floats:
    """Score / temperature, but for a constant: 0 for the best score, so that no temperature makes it overflow."""
    below = quality - np.max(quality, initial=-np.inf, where=~np.isnan(quality))
    if temperature == 0:
        return np.where(below < 0, -np.inf, below)
    with np.errstate(over="ignore"):  # what is too far below the best is never drawn before it
        return np.asarray(below / temperature)


def _gumbel(draws: Floats) -> Floats:
    """A standard Gumbel variate of each uniform draw; the ends of [0, 1] have none that is finite."""
    return np.asarray(-np.log(-np.log(np.clip(draws, 2.0**-64, 1 - 2.0**-53))))
