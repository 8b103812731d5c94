"""The report of a trained classifier: what stands beside the model and what the checks, plots and cards show.

What belongs here: the frozen type and its JSON. What does not: how its figures are made (`metrics.py`, `measure.py`).
"""

from dataclasses import dataclass, field
from functools import cache

from pydantic import TypeAdapter

from datashop_assets.classifier.ceiling import Ceiling
from datashop_assets.classifier.comparison import Comparison
from datashop_assets.classifier.dataset import Counts
from datashop_assets.classifier.learning_curve import LearningCurve
from datashop_assets.classifier.metrics import Bin
from datashop_assets.classifier.recalibration import Reliability
from datashop_assets.classifier.recipes import Step
from datashop_assets.classifier.slices import CostOfCutting, Slice
from datashop_assets.classifier.thresholds import ThresholdPoint
from datashop_assets.classifier.verdict import Verdict
from datashop_assets.estimate import Estimate


@dataclass(frozen=True)
class OverSeeds:
    """A held-out figure over classifiers that differ in their seed alone: mean and standard deviation of `seeds`."""

    mean: float
    deviation: float
    seeds: int


@dataclass(frozen=True)
class Quality:
    """What the figures depend on, and what more labels, a threshold or a calibration would bring; all on held-out rows.

    `calibration` is empty and `learning_curve` null where the project file asks for none; the `notes` say what else is
    not known, and why.
    """

    slices: tuple[Slice, ...]
    cost_of_cutting: CostOfCutting
    learning_curve: LearningCurve | None
    thresholds: tuple[ThresholdPoint, ...]
    calibration: tuple[Reliability, ...]
    comparison: Comparison
    ceiling: Ceiling
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Report:
    """Everything measured of one classifier.

    `figures` are on the held-out rows, null where not defined (the notes say why); `mae_mean`, `mae_length` and
    `mae_gain_over_*` are the baselines. `confusion[i][j]` counts rows with rounded label low + i and rounded
    prediction low + j. `model` is the recipe's kind, `chosen` what it chose on validation rows and `log` the
    measurements that chose it. `over_seeds` is empty where one seed was trained; a figure that is not defined for each
    seed is null there. `quality` and `held_out_share` are null in reports from before there was a second half, and
    after `measure`, which makes the first (`quality.py`).
    """

    classifier: str
    encoder: str
    lens: str
    lens_version: str
    recipe: str
    low: int
    high: int
    positive_at: float
    counts: Counts
    figures: dict[str, Estimate | None]
    notes: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]
    reliability: tuple[Bin, ...]
    verdict: Verdict
    model: str = "linear"
    chosen: dict[str, int | float | str] = field(default_factory=dict)
    log: tuple[Step, ...] = ()
    over_seeds: dict[str, OverSeeds | None] = field(default_factory=dict)
    held_out_share: float | None = None
    quality: Quality | None = None

    def to_json(self) -> str:
        return _adapter().dump_json(self, indent=1).decode()

    @classmethod
    def from_json(cls, text: str) -> "Report":
        """Raises pydantic.ValidationError naming every field at fault."""
        return _adapter().validate_json(text)


@cache
def _adapter() -> TypeAdapter[Report]:
    return TypeAdapter(Report)
