"""The second half of a classifier's report: what its figures depend on, what more labels or a threshold would bring.

What belongs here: gathering what each part needs, and which rows it may see. What does not: each part (`slices.py`,
`learning_curve.py`, `thresholds.py`, `recalibration.py`, `comparison.py`, `ceiling.py`, `confident_errors.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets import languages
from datashop_assets.classifier import slices
from datashop_assets.classifier.ceiling import ceiling
from datashop_assets.classifier.comparison import Comparison, compare, not_compared
from datashop_assets.classifier.confident_errors import most_confident_errors, save_errors
from datashop_assets.classifier.dataset import LEAST_HELD_OUT, Part, Split, is_held_out
from datashop_assets.classifier.documents_seen import documents_seen, texts_for, why_cut_is_unknown, with_words
from datashop_assets.classifier.head import Floats
from datashop_assets.classifier.learning_curve import LearningCurve, learning_curve
from datashop_assets.classifier.recalibration import Calibration, fit_calibration, reliability
from datashop_assets.classifier.recipes import Examples, Inputs, Reads, Recipe, Scorer, load_scorer
from datashop_assets.classifier.registry import ClassifierRecord, find_classifier, promoted
from datashop_assets.classifier.report import Quality, Report
from datashop_assets.classifier.thresholds import threshold_curve
from datashop_assets.classifier.train import TrainedClassifier, examples_of, recipe_for
from datashop_assets.classifier.verdict import with_comparison
from datashop_assets.classifier.workbench import Workbench
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.embedding.inputs import MissingUpstreamError, vectors_for
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.rating.lens import Lens
from datashop_assets.seams import Lake, ModelStore

POINTS, FOLDS = 4, 5  # where the project file leaves it to the recipe, and the recipe reads stored vectors


@dataclass(frozen=True, eq=False)
class Subject:
    """What is reported on: what was trained (`made`), on a rater's labels. `inputs` are those of all labelled rows."""

    rater: str
    labelled: pl.DataFrame
    inputs: Inputs
    lens: Lens
    recipe: ClassifierRecipe
    made: TrainedClassifier
    others: Mapping[str, Examples] | None = None
    bench: Workbench | None = None

    @property
    def how(self) -> Recipe:
        return recipe_for(self.recipe, self.others, self.bench)

    @property
    def parts(self) -> Split:
        return self.made.parts

    @property
    def report(self) -> Report:
        return self.made.report

    @property
    def predictions(self) -> NDArray[np.float32]:
        """Of the held-out rows."""
        predictions: NDArray[np.float32] = self.made.held_out["prediction"].to_numpy()
        return predictions

    def inputs_of(self, part: Part) -> Inputs:
        """What the recipe reads of some labelled rows."""
        return examples_of(self.inputs, part, self.recipe).inputs

    def refit(self, train: Part, validation: Part, seed: int) -> Scorer:
        """The recipe's classifier of other rows."""
        first, second = (examples_of(self.inputs, part, self.recipe) for part in (train, validation))
        return self.how.fit(first, second, self.lens, seed).scorer

    @property
    def labels(self) -> NDArray[np.float64]:
        return self.parts.held_out.scores

    @property
    def draws(self) -> tuple[int, int]:
        """Resamples and seed of every interval."""
        return self.recipe.bootstrap, self.recipe.seed


@dataclass(frozen=True, eq=False)
class Measured:
    """The whole report, the calibration where one was fitted, and the rows of `most_confident_errors` with words."""

    report: Report
    calibration: Calibration | None
    errors: pl.DataFrame

    def save(self, directory: Path) -> None:
        """What stands beside the model: `calibration.json`, where there is one, and the table of errors."""
        if self.calibration is not None:
            self.calibration.save(directory)
        save_errors(directory, self.errors)


def measure_quality(
    subject: Subject, lake: Lake, models: ModelStore, encoder: Path, settings: EncoderSettings
) -> Measured:
    """The report with its second half. `encoder` is the folder of the encoder, as in `settings`.

    No part learns from a held-out row: calibrations and learning curves are fitted on training and validation rows.
    """
    calibration = cross_fitted_calibration(subject)
    resamples, seed = subject.draws
    parts, cost, notes = _slices(subject, lake, encoder, settings.max_tokens)
    compared = _comparison(subject, lake, models)
    quality = Quality(
        slices=parts,
        cost_of_cutting=cost,
        learning_curve=refitted_curve(subject),
        thresholds=threshold_curve(subject.labels, subject.predictions, subject.lens, resamples, seed),
        calibration=reliability(calibration, subject.labels, subject.predictions, resamples, seed)
        if calibration
        else (),
        comparison=compared,
        ceiling=ceiling(lake, subject.lens, subject.rater, subject.labels, subject.predictions, seed),
        notes=notes,
    )
    report = replace(
        subject.report,
        held_out_share=subject.recipe.held_out_share,
        quality=quality,
        verdict=with_comparison(subject.report.verdict, compared),
    )
    errors = with_words(lake, most_confident_errors(subject.made.held_out), subject.lens.name, subject.rater)
    return Measured(report, calibration, errors)


def _slices(
    subject: Subject, lake: Lake, encoder: Path, max_tokens: int
) -> tuple[tuple[slices.Slice, ...], slices.CostOfCutting, tuple[str, ...]]:
    unknown = (
        why_cut_is_unknown(encoder) if subject.how.reads == "vectors" else "the classifier reads texts, not vectors"
    )
    seen = documents_seen(lake, subject.made.held_out, encoder if unknown is None else None, max_tokens)
    chars = subject.labelled["chars"].to_numpy()[subject.parts.held_out.rows]
    lengths, sources = slices.by_length(chars), slices.by_kind(seen["source"].fill_null("unknown").to_list())
    found = [*_sliced(subject, slices.LENGTH, lengths), *_sliced(subject, slices.SOURCE, sources)]
    notes = []
    if languages.can_tell():
        found += _sliced(subject, slices.LANGUAGE, _known(seen["language"]))
    else:
        notes.append(f"languages are not told here: {languages.INSTALL}")
    read = seen["cut"].is_not_null().to_numpy()
    labels, predictions = subject.labels[read], subject.predictions[read]
    cut = seen["cut"].drop_nulls().to_numpy()
    cost = slices.cost_of_cutting(labels, predictions, cut, subject.lens, *subject.draws)
    if unknown is None:
        names = seen["cut"].replace_strict({True: slices.IN_PART, False: slices.WHOLE}, return_dtype=pl.String)
        found += _sliced(subject, slices.READ, _known(names))
    else:
        cost = replace(cost, reason=unknown)
    if (missing := seen["language"].null_count()) and languages.can_tell():
        notes.append(f"languages, and what was cut, were not looked up for {missing} of {seen.height} documents")
    return tuple(found), cost, tuple(notes)


def _sliced(subject: Subject, by: str, parts: Mapping[str, slices.Rows]) -> tuple[slices.Slice, ...]:
    return slices.sliced(by, parts, subject.labels, subject.predictions, subject.lens, *subject.draws)


def _known(kinds: pl.Series) -> dict[str, slices.Rows]:
    """Rows by kind, positions in the series, without those of which the kind is not known."""
    rows = np.flatnonzero(kinds.is_not_null().to_numpy())
    found = slices.by_kind(kinds.drop_nulls().to_list()) if len(rows) else {}
    return {name: rows[index] for name, index in found.items()}


def refitted_curve(subject: Subject) -> LearningCurve | None:
    """Quality against the number of annotations; null where the project file, or the recipe's cost, asks for none."""
    settings = subject.recipe.report
    points = settings.learning_curve_points
    if points is None:
        points = POINTS if subject.how.reads == "vectors" else 0
    if points == 0:
        return None
    train, validation = subject.parts.train, subject.parts.validation
    held_out = subject.inputs_of(subject.parts.held_out)

    def refit(first: NDArray[np.int64], second: NDArray[np.int64], seed: int) -> Floats:
        scorer = subject.refit(some_of(train, first), some_of(validation, second), seed)
        return scorer.predict(held_out)

    return learning_curve(
        refit,
        len(train),
        len(validation),
        subject.labels,
        subject.predictions,
        points,
        settings.learning_curve_draws,
        *subject.draws,
    )


def cross_fitted_calibration(subject: Subject) -> Calibration | None:
    """Fitted on all training and validation rows, each scored by a classifier that had no part of it: the recipe's own
    classifier has learnt from both. Labels are as rated, whatever was trained on."""
    folds = subject.recipe.report.calibration_folds
    if folds is None:
        folds = FOLDS if subject.how.reads == "vectors" else 0
    if folds < 2:
        return None
    random = np.random.default_rng(subject.recipe.seed)
    parts = [subject.parts.train, subject.parts.validation]
    fold_of = [random.permutation(np.arange(len(part)) % folds) for part in parts]
    labels: list[Floats] = []
    scores: list[Floats] = []
    for fold in range(folds):
        train, validation = (some_of(part, np.flatnonzero(of != fold)) for part, of in zip(parts, fold_of, strict=True))
        scorer = subject.refit(train, validation, subject.recipe.seed)
        for part, of in zip(parts, fold_of, strict=True):
            mine = of == fold
            labels.append(part.scores[mine])
            scores.append(scorer.predict(subject.inputs_of(some_of(part, np.flatnonzero(mine)))))
    return fit_calibration(subject.report.classifier, np.concatenate(labels), np.concatenate(scores), subject.lens)


def _comparison(subject: Subject, lake: Lake, models: ModelStore) -> Comparison:
    promotion = promoted(lake, subject.lens.name)
    if promotion is None:
        return not_compared("none is in force yet")
    name = promotion.classifier
    if name == subject.report.classifier:
        return not_compared("it is the one in force", name)
    record = find_classifier(lake, subject.lens.name, name)
    share = Report.from_json(record.metrics).held_out_share
    if share is None:
        return not_compared(f"the report of {name} does not say which rows it held out; train it again", name)
    rows = subject.labelled[subject.parts.held_out.rows.tolist()]
    both = np.array([is_held_out(sha, share) for sha in rows["text_sha"]], bool)
    if both.sum() < LEAST_HELD_OUT:
        return not_compared(f"only {both.sum()} rows were held out by both; {LEAST_HELD_OUT} are needed", name)
    try:
        scorer = load_scorer(models.fetch(record.uri))
        theirs = scorer.predict(_inputs_of(record, scorer.reads, subject, lake, both))
    except (FileNotFoundError, MissingUpstreamError) as error:
        return not_compared(f"{name} cannot be asked: {error}", name)
    compared = compare(name, subject.labels[both], subject.predictions[both], theirs, subject.lens, *subject.draws)
    notes = []
    if record.rater is not None and record.rater != subject.rater:
        notes.append(f"it learnt from another rater, {record.rater}; the labels here are those of {subject.rater}")
    return replace(compared, notes=tuple(notes))


def _inputs_of(record: ClassifierRecord, reads: Reads, subject: Subject, lake: Lake, both: NDArray[np.bool_]) -> Inputs:
    """What the classifier of that record reads, of the held-out rows that are also in `both`."""
    part = some_of(subject.parts.held_out, np.flatnonzero(both))
    if reads == subject.how.reads and record.encoder == subject.report.encoder:
        return subject.inputs_of(part)
    rows = subject.labelled[part.rows.tolist()]
    return texts_for(lake, rows) if reads == "texts" else vectors_for(lake, record.encoder, rows)


def some_of(part: Part, chosen: NDArray[np.int64]) -> Part:
    """Some rows of a side of the split."""
    return Part(part.rows[chosen], part.scores[chosen], part.targets[chosen], part.weights[chosen])
