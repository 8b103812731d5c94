"""A score from the probabilities of the levels: their mean, which keeps what a single answer throws away.

What belongs here: which levels are asked for, and the mathematics. What does not: asking for the probabilities
(`prompted.py`, `resources/raters/`).

The probability-weighted mean over the score tokens is that of G-Eval (Y. Liu et al., "G-Eval: NLG Evaluation using
GPT-4 with Better Human Alignment", EMNLP 2023). That the mean of a judge's distribution beats its most likely answer,
and that reasoning before the answer narrows the distribution without helping, is what V. Wang, M. J. Q. Zhang and
E. Choi find ("Improving LLM-as-a-Judge Inference with the Judgment Distribution", 2025).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, sqrt

from datashop_assets.rating.lens import Lens
from datashop_assets.seams import PermanentError

# Below one half, the model would rather have said something else than a level, and the levels' shares of the rest say
# how it guesses and not how it judges.
LEAST_MASS = 0.5


@dataclass(frozen=True)
class Expected:
    """What the levels' probabilities say.

    `overall` is the mean level, `score` the mean of the lens's scores for the levels (the same, where the lens has no
    compression), `mass` the probability of all levels together. `confidence` in [0, 1] is one minus the standard
    deviation of the level in half ranges: 1 where one level has all the probability, 0 where the lowest and the
    highest share it evenly. It says how sure the model is, not how right it is.
    """

    score: float
    overall: float
    mass: float
    confidence: float


def levels(lens: Lens) -> tuple[str, ...]:
    """The answers whose probabilities are asked for, each a single digit and so a single token.

    Raises PermanentError naming the lens where it has labels, or levels of another length than one.
    """
    cannot = f"lens {lens.name!r} cannot be asked in mode expected_score: "
    mend = "Set its mode to score_only or rationale_then_score in the project file"
    if lens.kind == "label":
        raise PermanentError(f"{cannot}it gives labels, not a score. {mend}.")
    overall = lens.overall
    if overall.low < 0 or overall.high > 9:
        raise PermanentError(
            f"{cannot}the levels of {overall.name!r} go from {overall.low} to {overall.high}, and not all of them are "
            f"single tokens, whose probabilities a model gives at once. {mend}, or give the lens a scale within 0 to 9."
        )
    return tuple(str(level) for level in range(overall.low, overall.high + 1))


def expected_score(logprobs: Mapping[str, float], lens: Lens) -> Expected | None:
    """The mean over the levels by their natural log-probabilities; a level that is missing has none.

    The probabilities are normalised over the levels. None (`no_score_tokens`) where the levels together have less than
    LEAST_MASS of the probability.
    """
    weights = {int(level): exp(logprobs[level]) for level in levels(lens) if level in logprobs}
    mass = sum(weights.values())
    if not mass >= LEAST_MASS:
        return None
    shares = {level: weight / mass for level, weight in weights.items()}
    overall = sum(share * level for level, share in shares.items())
    score = sum(share * lens.stored_score(level) for level, share in shares.items())
    deviation = sqrt(sum(share * (level - overall) ** 2 for level, share in shares.items()))
    confidence = 1.0 - deviation / ((lens.overall.high - lens.overall.low) / 2)
    # Rounding of floats can lead past the ends by some 1e-16.
    overall = min(max(overall, float(lens.overall.low)), float(lens.overall.high))
    return Expected(lens.clip(score), overall, min(mass, 1.0), min(max(confidence, 0.0), 1.0))
