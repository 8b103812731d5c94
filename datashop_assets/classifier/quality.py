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
from datashop_assets.classifier.dataset import LEAST_HELD_OUT, is_held_out
from datashop_assets.classifier.documents_seen import documents_seen, texts_for, why_cut_is_unknown, with_words
from datashop_assets.classifier.known_recipes import load_scorer
from datashop_assets.classifier.recalibration import Calibration, reliability
from datashop_assets.classifier.recipes import Inputs, Reads
from datashop_assets.classifier.refits import calibration_of, refitted_curve
from datashop_assets.classifier.registry import ClassifierRecord, find_classifier, promoted
from datashop_assets.classifier.report import Quality, Report
from datashop_assets.classifier.subject import Subject, some_of
from datashop_assets.classifier.thresholds import threshold_curve
from datashop_assets.classifier.verdict import with_comparison
from datashop_assets.embedding.inputs import MissingUpstreamError, vectors_for
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.seams import Lake, ModelStore


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
    calibration = calibration_of(subject)
    resamples, seed = subject.draws
    parts, cost, notes = _slices(subject, lake, encoder, settings.tokens_read)
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
    notes = [_reach(subject, max_tokens)]
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


def _reach(subject: Subject, max_tokens: int) -> str:
    """What rater and classifier see of a document."""
    rater = f"the rater is shown the first {subject.lens.max_chars:,} characters of a document at most"
    if subject.how.reads == "texts":
        return rater
    return f"{rater}, the classifier reads the first {max_tokens:,} of the encoder's tokens"


def _sliced(subject: Subject, by: str, parts: Mapping[str, slices.Rows]) -> tuple[slices.Slice, ...]:
    return slices.sliced(by, parts, subject.labels, subject.predictions, subject.lens, *subject.draws)


def _known(kinds: pl.Series) -> dict[str, slices.Rows]:
    """Rows by kind, positions in the series, without those of which the kind is not known."""
    rows = np.flatnonzero(kinds.is_not_null().to_numpy())
    found = slices.by_kind(kinds.drop_nulls().to_list()) if len(rows) else {}
    return {name: rows[index] for name, index in found.items()}


def _comparison(subject: Subject, lake: Lake, models: ModelStore) -> Comparison:
    promotion = promoted(lake, subject.lens.name)
    if promotion is None:
        return not_compared("none is in force yet")
    name = promotion.classifier
    if name == subject.report.classifier:
        return not_compared("it is the one in force", name)
    record = find_classifier(lake, subject.lens.name, name)
    before = Report.from_json(record.metrics)
    share = before.held_out_share
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
    if before.lens_version != subject.lens.version:
        notes.append("it learnt from ratings through an earlier version of the lens")
    return replace(compared, notes=tuple(notes))


def _inputs_of(record: ClassifierRecord, reads: Reads, subject: Subject, lake: Lake, both: NDArray[np.bool_]) -> Inputs:
    """What the classifier of that record reads, of the held-out rows that are also in `both`."""
    part = some_of(subject.parts.held_out, np.flatnonzero(both))
    if reads == subject.how.reads and record.encoder == subject.report.encoder:
        return subject.inputs_of(part)
    rows = subject.labelled[part.rows.tolist()]
    return texts_for(lake, rows) if reads == "texts" else vectors_for(lake, record.encoder, rows)
