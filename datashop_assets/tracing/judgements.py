"""What raters, curation, encoder and classifier say of a document.

What belongs here: the steps between parsing and the cut-off. What does not: the verdict of the filter (`outcome.py`).
"""

from typing import Any

import polars as pl

from datashop_assets.classifier.dataset import is_held_out
from datashop_assets.classifier.recipes import TEXT_ENCODER
from datashop_assets.classifier.registry import ClassifierRecord, find_classifier
from datashop_assets.classifier.report import Report
from datashop_assets.curation.tables import CURATED_ANNOTATIONS
from datashop_assets.lineage import base_version, embeddings_version
from datashop_assets.records import ANNOTATIONS, CLASSIFIERS, EMBEDDINGS, PROMOTIONS, SCORES
from datashop_assets.scoring.current import current_scores
from datashop_assets.scoring.tables import EXACT_SCORES
from datashop_assets.tracing.steps import Step
from datashop_assets.tracing.subject import Subject

STALE = "; made of earlier inputs: it is to be made again"
RATIONALE_CHARS = 400


def rating_steps(of: Subject) -> list[Step]:
    """A step for each rater that judged it through the lens."""
    table = ANNOTATIONS.of(of.lens)
    version, rows = of.lake.version(table), of.rows(table)
    if not rows:
        return [Step("rating", "not rated: it is not in the sample of its shard", table.name, version)]
    steps = []
    for row in sorted(rows, key=lambda each: (each["rated_at"] is None, each["rated_at"])):
        score = "no score" if row["score"] is None else f"{row['score']:.3f}"
        words = f"{row['rater']}: {score}"
        if row["reason"]:
            words += f", {row['reason']}"
        if row["rated_at"] is not None:
            words += f", at {row['rated_at']:%Y-%m-%d %H:%M} UTC"
        if row["lens_version"] != of.graph.lenses[of.lens].version:
            words += ", through another version of the lens than today's"
        if row["rationale"]:
            words += f"\n“{' '.join(row['rationale'][:RATIONALE_CHARS].split())}”"
        steps.append(Step("rating", words, table.name, version, row))
    return steps


def curation_step(of: Subject) -> Step:
    """What the raters' errors and its neighbours say of its rating."""
    version = of.lake.version(CURATED_ANNOTATIONS)
    rows = of.rows(CURATED_ANNOTATIONS, {"lens": [of.lens]})
    if not rows:
        why = "nothing was curated yet" if version is None else "not curated: it has no rating, or came after curation"
        return Step("curation", why, CURATED_ANNOTATIONS.name, version)
    row = rows[0]
    wrong = "not estimated" if row["wrong"] is None else f"{row['wrong']:.2f}"
    words = (
        f"score {row['score']:g} {'corrected to' if row['changed'] else 'stays'} {row['curated_score']:g}; probability "
        f"that it is wrong: {wrong}; rareness {_number(row['rareness'])}"
    )
    return Step("curation", words, CURATED_ANNOTATIONS.name, version, row)


def classifier_step(of: Subject, classifier: str) -> Step:
    """What the classifier was trained on, by whom it was promoted and why, and this document's part in it."""
    version = of.lake.version(CLASSIFIERS)
    try:
        record = find_classifier(of.lake, of.lens, classifier)
    except LookupError:
        return Step("classifier", f"{classifier} is not in the table of classifiers", CLASSIFIERS.name, version)
    report = Report.from_json(record.metrics)
    counts = report.counts
    words = (
        f"{classifier}, {report.model} on {record.encoder}, trained at {record.trained_at:%Y-%m-%d %H:%M} UTC on "
        f"{counts.train} ratings by {record.rater or 'a rater that was not recorded'} ({counts.validation} to choose, "
        f"{counts.held_out} held out); checks {'passed' if record.passed else 'FAILED'}: {record.verdict}"
        f"\nthis document: {_part(of, record, report)}"
    )
    facts: dict[str, Any] = {name: value for name, value in vars(record).items() if name != "metrics"}
    return Step("classifier", words, CLASSIFIERS.name, version, facts | {"counts": vars(counts)})


def promotion_step(of: Subject, classifier: str) -> Step:
    """Who put the classifier in force, when and why; and whether it still is."""
    rows = of.lake.scan(PROMOTIONS).filter(pl.col("lens") == of.lens).sort("promoted_at").collect().to_dicts()
    version = of.lake.version(PROMOTIONS)
    mine = [row for row in rows if row["classifier"] == classifier]
    if not mine:
        return Step("promotion", f"{classifier} was never promoted", PROMOTIONS.name, version)
    row = mine[-1]
    words = f"{classifier} promoted by {row['by']} at {row['promoted_at']:%Y-%m-%d %H:%M} UTC"
    words += ", although its checks failed" if row["override"] else ""
    words += f": {row['note']}" if row["note"] else ""
    if rows[-1]["classifier"] != classifier:
        words += f"; since {rows[-1]['promoted_at']:%Y-%m-%d %H:%M} UTC {rows[-1]['classifier']} is in force instead"
    return Step("promotion", words, PROMOTIONS.name, version, row)


def embedding_step(of: Subject, encoder: str) -> Step:
    """Its vector's version, and whether that is of the text as it is."""
    if encoder == TEXT_ENCODER:
        return Step("embedding", "none: the classifier reads the text itself")
    table = EMBEDDINGS.of(encoder)
    cells = of.lake.cells(table).filter(pl.col("shard") == of.shard)
    if cells.is_empty():
        return Step("embedding", f"its shard has no vectors by {encoder}", table.name, of.lake.version(table))
    made, wanted = cells["version"][0], embeddings_version(str(of.document["version"]), encoder)
    words = f"by {encoder}, version {made}" + ("" if base_version(made) == wanted else STALE)
    return Step("embedding", words, table.name, of.lake.version(table), {"encoder": encoder, "version": made})


def score_step(of: Subject, record: ClassifierRecord) -> Step:
    """The score by this classifier and what made it, and the scores by others that are still there. Its fact
    `exact` is the score in float32, where the filter made it again."""
    classifier = record.classifier
    table = SCORES.of(of.lens)
    version, rows = of.lake.version(table), of.rows(table)
    by = {row["classifier"]: row for row in rows}
    facts: dict[str, Any] = dict(by.get(classifier, {})) | {"by classifier": {c: r["score"] for c, r in by.items()}}
    if classifier not in by:
        return Step("score", f"none by classifier {classifier}", table.name, version, facts)
    row = by[classifier]
    words = f"{_number(row['score'])} (rounded {row['int_score']}) by classifier {classifier}"
    origin = current_scores(of.lake, record, [of.cell]).get(of.cell)
    if origin is None:
        words += STALE
    elif origin.cascade is not None:
        words += f", by cascade {origin.cascade.cascade}: an estimate where that is surely below the cut-off"
    exact = of.rows(EXACT_SCORES.of(of.lens), {"classifier": [classifier]})
    if exact:
        facts["exact"] = exact[0]["score"]
        words += f"; {_number(exact[0]['score'])} in float32, which the filter goes by"
    others = [f"{_number(r['score'])} by {c}" for c, r in by.items() if c != classifier]
    words += f"; also {', '.join(others)}" if others else ""
    return Step("score", words, table.name, version, facts)


def _part(of: Subject, record: ClassifierRecord, report: Report) -> str:
    rated = [row for row in of.rows(ANNOTATIONS.of(of.lens)) if row["rater"] == record.rater]
    before = [row for row in rated if row["rated_at"] is None or row["rated_at"] <= record.trained_at]
    if not any(row["score"] is not None for row in before):
        return "unknown to it when it was trained"
    share = report.held_out_share or of.graph.settings(of.lens).recipe.held_out_share
    if is_held_out(str(of.document["text_sha"]), share):
        return "held out: it was measured on, not learnt from"
    return "learnt from, or used to choose the model"


def _number(value: float | None) -> str:
    return "no score" if value is None else f"{value:.4g}"
