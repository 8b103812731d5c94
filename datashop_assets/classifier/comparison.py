"""The classifier in force and a new one, on the same held-out rows.

What belongs here: paired differences, and what they say. What does not: predicting with the classifier in force
(`quality.py`), what a gate makes of it (`verdict.py`).
"""

from dataclasses import dataclass

from datashop_assets.classifier.head import Floats
from datashop_assets.classifier.metrics import Metric, bootstrap, metrics
from datashop_assets.estimate import Estimate
from datashop_assets.rating.lens import Lens

# Each metric, and the sign that makes more better.
COMPARED = {"mae": -1, "spearman": 1, "f1_at_positive": 1}
# Those of which one that is worse beyond chance makes the classifier worse: errors, and the order that a filter keeps.
DECIDING = ("mae", "spearman")


@dataclass(frozen=True)
class Comparison:
    """The new classifier against `promoted`, the one in force then, on `n` held-out rows that neither learnt from.

    `gains` are paired differences of the metrics, above 0: the new one is better; null where not defined. Where they
    could not be compared, there are none, and the `reason` is said. `notes` tell what has to be known of it.
    """

    promoted: str | None
    n: int
    gains: dict[str, Estimate | None]
    reason: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_worse(self) -> bool | None:
        """Is the new one worse by more than chance in MAE or in rank correlation? Null where nothing was compared."""
        known = [gain for name in DECIDING if (gain := self.gains.get(name)) is not None]
        return any(gain.high < 0 for gain in known) if known else None

    @property
    def words(self) -> str:
        """What it says, in a sentence."""
        if not self.gains:
            return f"not compared with {self.promoted or 'the one in force'}: {self.reason}"
        said = [f"{name} {_judged(gain)}" for name, gain in self.gains.items()]
        return f"against {self.promoted}, on {self.n} held-out rows of both: {'; '.join(said)}"


def compare(
    promoted: str, labels: Floats, mine: Floats, theirs: Floats, lens: Lens, resamples: int, seed: int
) -> Comparison:
    """Both classifiers' predictions of the same rows, resampled together."""
    new, old = metrics(labels, mine, lens), metrics(labels, theirs, lens)

    def gain(name: str, sign: int) -> Metric:
        return lambda rows: sign * (new[name](rows) - old[name](rows))

    gains, _ = bootstrap({name: gain(name, sign) for name, sign in COMPARED.items()}, len(labels), resamples, seed)
    return Comparison(promoted, len(labels), gains)


def not_compared(reason: str, promoted: str | None = None) -> Comparison:
    return Comparison(promoted, 0, {}, reason)


def better_by(comparison: Comparison) -> dict[str, Estimate | None]:
    """The paired differences under names for people."""
    return {f"{name} better by": gain for name, gain in comparison.gains.items()}


def _judged(gain: Estimate | None) -> str:
    if gain is None:
        return "not defined"
    word = "better" if gain.low > 0 else "worse" if gain.high < 0 else "no difference shown"
    return f"{word} ({gain.value:+.3f}, {gain.interval})"
