"""A cascade: the encoder reads only documents that a cheap stage does not rule out.

What belongs here: dividing documents, scoring them, learning and calibrating the division from scored documents. What
does not: the cheap stage (`first_stage.py`), the promise's arithmetic (`recall_bound.py`), tables.

The scores of skipped documents are estimates that lie below the cut-off, good for that cut-off and a higher one and for
nothing else: where the whole distribution of scores is what is wanted, no cascade belongs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datashop_assets.cascade_settings import CascadeSettings
from datashop_assets.classifier.recipes import Scorer
from datashop_assets.embedding.embed import STORED
from datashop_assets.lineage import stable_fraction
from datashop_assets.scoring.first_stage import FirstStage, fit_first_stage
from datashop_assets.scoring.recall_bound import least_positives, pass_threshold
from datashop_assets.seams import Encoder


class CascadeError(ValueError):
    """A cascade that cannot keep its promise; the message says what is missing and how to get it."""


@dataclass(frozen=True)
class Calibration:
    """What was promised on what: `kept` of the `calibrated` documents are above the cut-off, `missed` of them below the
    threshold; `passed` is the share of the calibrated documents that the encoder would read."""

    learnt: int
    calibrated: int
    kept: int
    missed: int
    passed: float


@dataclass(frozen=True, eq=False)
class Division:
    """Which of the documents the encoder reads: those that pass, and those of the others that are audited."""

    estimates: NDArray[np.float32]
    passed: NDArray[np.bool_]
    audited: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Cascade:
    """Documents whose estimate is below `threshold` are skipped; `lower` is the cut-off that this was made for."""

    stage: FirstStage
    threshold: float
    lower: float
    audit_share: float
    seed: int

    def divide(self, texts: Sequence[str]) -> Division:
        """Which documents pass. Who is audited depends on the text and the seed alone."""
        estimates = self.stage.predict(texts)
        passed = estimates >= self.threshold
        audited = np.zeros(len(texts), bool)
        for row in np.flatnonzero(~passed).tolist():
            audited[row] = stable_fraction(f"cascade audit\n{self.seed}\n{texts[row]}") < self.audit_share
        return Division(estimates, passed, audited)


@dataclass(frozen=True, eq=False)
class CascadeScores:
    """Scores float32 of shape [documents]: the classifier's where the encoder read, else an estimate below the cut-off.

    `found` and `missed` count documents at or above the cut-off among those that passed and those that were audited.
    """

    scores: NDArray[np.float32]
    division: Division
    found: int
    missed: int


def score_by_cascade(texts: Sequence[str], cascade: Cascade, encoder: Encoder, head: Scorer) -> CascadeScores:
    """Score the texts. Those that are read get the score that they would have had without a cascade."""
    division = cascade.divide(texts)
    read = np.flatnonzero(division.passed | division.audited).tolist()
    just_below = np.nextafter(np.float32(cascade.lower), np.float32(-np.inf))
    scores = np.minimum(division.estimates, just_below)
    if read:
        vectors = encoder.encode([texts[row] for row in read])
        # As stored vectors are rounded, so that a document's score does not depend on where it was made.
        scores[read] = head.predict(vectors.astype(STORED).astype(np.float32))
    good = scores >= np.float32(cascade.lower)
    return CascadeScores(scores, division, int((good & division.passed).sum()), int((good & division.audited).sum()))


def fit_cascade(
    texts: Sequence[str], shas: Sequence[str], scores: NDArray[np.floating], lower: float, settings: CascadeSettings
) -> tuple[Cascade, Calibration]:
    """Learn the cheap stage from one part of scored documents and calibrate it on the other.

    `scores` are the classifier's, `lower` the cut-off in force. Which part a document is in depends on its text's hash
    and the seed alone. Raises CascadeError where too few documents are above the cut-off for the promise, where the
    cut-off keeps everything, or where nothing could be skipped.
    """
    drawn = np.array([stable_fraction(f"cascade calibration\n{settings.seed}\n{sha}") for sha in shas])
    held = drawn < settings.calibration_share
    good = np.asarray(scores) >= np.float32(lower)
    kept, needed = int((good & held).sum()), least_positives(settings.recall, settings.confidence)
    if kept < needed:
        raise CascadeError(
            f"a recall of {settings.recall:g} at {settings.confidence:.0%} confidence needs {needed} documents above "
            f"the cut-off among those it is calibrated on; there are {kept} of {int(held.sum())}. Score more shards, "
            "or ask for a lower cascade.recall or cascade.confidence."
        )
    learnt = [texts[row] for row in np.flatnonzero(~held).tolist()]
    stage = fit_first_stage(learnt, _about(np.asarray(scores, np.float64), lower)[~held])
    estimates = stage.predict([texts[row] for row in np.flatnonzero(held).tolist()])
    threshold = pass_threshold(estimates[good[held]].astype(np.float64), settings.recall, settings.confidence)
    assert threshold is not None  # there are enough of them
    passed = estimates >= threshold
    if passed.all():
        raise CascadeError("no document lies below the threshold: the cheap stage would spare the encoder nothing")
    missed = int((~passed & good[held]).sum())
    calibration = Calibration(len(learnt), int(held.sum()), kept, missed, float(passed.mean()))
    return Cascade(stage, threshold, lower, settings.audit_share, settings.seed), calibration


def _about(scores: NDArray[np.float64], lower: float) -> NDArray[np.float64]:
    """The scores as far as they tell on which side of the cut-off a document is: those far from it are all alike.

    Taught these, the stage let 31 % of 7,812 real texts pass where it let 49 % pass taught the scores themselves, at
    the same recall (medians of five divisions, the best tenth kept).
    """
    spread = float(scores.std())
    return np.clip(scores, lower - spread, lower + spread / 4)
