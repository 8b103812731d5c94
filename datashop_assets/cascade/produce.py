"""One lens's cascade, from its scored documents to the stored cheap stage and its record.

What belongs here: which documents it learns from, storing and recording. What does not: fitting and calibrating
(`scoring/cascade.py`), the asset.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.cascade_settings import CascadeSettings
from datashop_assets.cellwork import have
from datashop_assets.embedding.inputs import MissingUpstreamError
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.state import require_cutoff
from datashop_assets.lineage import content_id, embeddings_version, inputs_version, scores_version
from datashop_assets.records import DOCUMENTS, SCORES, Cell
from datashop_assets.scoring.cascade import CascadeError, fit_cascade
from datashop_assets.scoring.cascades import CascadeRecord, bounds_scores_below, cascades_of, record_cascade
from datashop_assets.scoring.first_stage import CHARS
from datashop_assets.scoring.state import scores_target
from datashop_assets.seams import Lake, ModelStore

RECIPE = 1


@dataclass(frozen=True)
class ProducedCascade:
    record: CascadeRecord
    reused: bool


def produce_cascade(
    lake: Lake,
    models: ModelStore,
    lens: str,
    encoder: str,
    settings: CascadeSettings,
    shards: Sequence[str],
    lineage: Mapping[str, Any],
) -> ProducedCascade:
    """Calibrate a cascade for the lens's cut-off in force, store and record it; or return the one made of the same.

    It learns from documents of these `shards` that the classifier itself has scored, never from a cascade's estimates.
    Raises CascadeError or MissingUpstreamError, saying what to do.
    """
    cutoff = require_cutoff(lake, lens)
    lower = _lower(cutoff)
    versions = _scored(lake, lens, cutoff.classifier, encoder, shards)
    inputs = inputs_version(versions, RECIPE, cutoff.cutoff, settings.version)
    known = cascades_of(lake, lens)
    for record in reversed(known):
        if record.inputs_version == inputs:
            if record is not known[-1]:  # what it is made of went back to what it was: it is the newest again
                record = replace(record, made_at=datetime.now(UTC))
                record_cascade(lake, record, lineage)
            return ProducedCascade(record, reused=True)
    documents = _documents(lake, lens, cutoff.classifier, list(versions), settings.documents)
    cascade, calibration = fit_cascade(
        documents["text"].to_list(), documents["text_sha"].to_list(), documents["score"].to_numpy(), lower, settings
    )
    identity = content_id(cutoff.classifier, lower, cascade.threshold, cascade.stage.digest(), settings.version)
    with tempfile.TemporaryDirectory() as folder:
        cascade.stage.save(Path(folder))
        uri = models.put(f"cascades/{lens}/{identity}", Path(folder))
    record = CascadeRecord(
        lens=lens,
        cascade=identity,
        classifier=cutoff.classifier,
        cutoff=cutoff.cutoff,
        lower=lower,
        threshold=cascade.threshold,
        audit_share=settings.audit_share,
        seed=settings.seed,
        recall=settings.recall,
        confidence=settings.confidence,
        **asdict(calibration),
        uri=uri,
        inputs_version=inputs,
        made_at=datetime.now(UTC),
    )
    record_cascade(lake, record, lineage)
    return ProducedCascade(record, reused=False)


def _lower(cutoff: CutoffRecord) -> float:
    if cutoff.lower is None or not bounds_scores_below(cutoff.to_row()):
        raise CascadeError(
            f"lens {cutoff.lens!r}: cut-off {cutoff.cutoff} keeps documents with low scores too (its policy is "
            f"{cutoff.policy}), so none is surely dropped; a cascade needs a keep-fraction without a draw, or a lower "
            "bound that is not reversed"
        )
    return cutoff.lower


def _scored(lake: Lake, lens: str, classifier: str, encoder: str, shards: Sequence[str]) -> dict[str, str]:
    """The version of the scores of each shard that the classifier scored from stored vectors."""
    cells = [Cell(shard, lens) for shard in shards]
    known = have(lake, scores_target(lens, classifier), cells)
    documents = {row["shard"]: row["version"] for row in lake.cells(DOCUMENTS).to_dicts()}
    found = {}
    for cell, (version, _) in known.items():
        made_of = documents.get(cell.shard)
        if made_of and version == scores_version(embeddings_version(made_of, encoder), classifier):
            found[cell.shard] = version
    if not found:
        raise MissingUpstreamError(
            f"materialize `scores` first: lens {lens!r} has no shard scored by {classifier} from stored vectors"
        )
    return found


def _documents(lake: Lake, lens: str, classifier: str, shards: Sequence[str], most: int) -> pl.DataFrame:
    """Text, text_sha and score of at most so many scored documents, those with the smallest hash of their text."""
    texts = lake.scan(DOCUMENTS, {"shard": shards}).select("shard", "id", "text_sha")
    chosen = texts.unique("text_sha").sort("text_sha").head(most).collect()
    scores = lake.scan(SCORES.of(lens), {"shard": shards, "classifier": [classifier]})
    known = scores.select("shard", "id", "score").filter(pl.col("score").is_finite()).collect()
    rows = chosen.join(known, on=["shard", "id"])
    read = lake.scan(DOCUMENTS, {"shard": shards}).join(
        rows.lazy().select("shard", "id"), on=["shard", "id"], how="semi"
    )
    found = read.select("shard", "id", pl.col("text").str.slice(0, CHARS)).collect()
    return rows.join(found, on=["shard", "id"]).sort("text_sha")
