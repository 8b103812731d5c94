"""One classifier, from labels and embeddings to the stored model: what was trained from the same inputs is not again.

What belongs here: gathering the inputs, storing and recording the result. What does not: training (`train.py`), the
files of the model (`export.py`), the asset (`assets.py`).
"""

import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from datashop_assets.classifier.confident_errors import errors_markdown, load_errors
from datashop_assets.classifier.curated_labels import RECIPE as LABELS_RECIPE
from datashop_assets.classifier.curated_labels import with_curated_labels
from datashop_assets.classifier.documents_seen import texts_for
from datashop_assets.classifier.export import export
from datashop_assets.classifier.fine_tune_recipe import base_content
from datashop_assets.classifier.known_recipes import recipe_of
from datashop_assets.classifier.other_lenses import OtherLens, learnable
from datashop_assets.classifier.quality import measure_quality
from datashop_assets.classifier.recipes import TEXT_ENCODER, Inputs
from datashop_assets.classifier.registry import ClassifierRecord, record_classifier, trained
from datashop_assets.classifier.report import Report
from datashop_assets.classifier.subject import Subject
from datashop_assets.classifier.train import train
from datashop_assets.classifier.workbench import Workbench
from datashop_assets.classifier_settings import ClassifierRecipe
from datashop_assets.curation.produce import RECIPE as CURATION_RECIPE
from datashop_assets.embedding.inputs import MissingUpstreamError, vectors_for
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.lineage import content_id, inputs_version
from datashop_assets.project import CurationSettings
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.quality import annotation_versions, labelled
from datashop_assets.recipe_presets import deviations
from datashop_assets.records import DOCUMENTS, FILTERED
from datashop_assets.seams import Lake, ModelStore

HELD_OUT_FILE = "held_out.parquet"


class ExportableEncoder(Protocol):
    """An encoder whose files can be copied into a classifier's folder."""

    @property
    def id(self) -> str: ...

    @property
    def settings(self) -> EncoderSettings: ...

    def local_directory(self) -> Path: ...


@dataclass(frozen=True)
class OtherRatings:
    """What a classifier learns from beside its own lens's ratings: those through another lens by the rater of this id,
    of the documents that the other lens's population keeps, where it has one."""

    lens: Lens
    rater: str
    population: str | None


@dataclass(frozen=True)
class ProducedClassifier:
    """A classifier as it stands in the store. `held_out` has shard, id, label, prediction of the rows it was measured
    on; `errors` shows those that it gets most wrong, as markdown."""

    record: ClassifierRecord
    report: Report
    held_out: pl.DataFrame
    errors: str
    reused: bool


def training_rows(lake: Lake, lens: Lens, rater: str, active: Collection[str]) -> tuple[pl.DataFrame, dict[str, str]]:
    """The lens's judgements (shard, id, text_sha, chars, score), and their versions by shard.

    Only those of `active` shards: what rests, because it was withdrawn or its landing is gone, teaches nothing.

    Raises MissingUpstreamError naming the asset to materialize first.
    """
    counted = set(active)
    rated = annotation_versions(lake, lens.name, rater)
    shards = {shard: version for shard, version in rated.items() if shard in counted}
    if not shards:
        raise MissingUpstreamError(
            f"materialize `annotations` for lens {lens.name!r} first: rater {rater} rated nothing"
        )
    chars = lake.scan(DOCUMENTS, {"shard": shards}).select("shard", "id", "chars").collect()
    rows = labelled(lake, lens, rater, shards).join(chars, on=["shard", "id"], how="inner", maintain_order="left")
    return rows, shards


def inside_population(lake: Lake, population: str | None, rows: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """The judgements of documents that the population keeps, and what names the others among a classifier's inputs:
    nothing where none is left out. A shard that the population says nothing of is not left out.
    """
    if population is None:
        return rows, []
    filtered = lake.scan(FILTERED.of(population), {"shard": rows["shard"].unique().to_list()})
    dropped = filtered.filter(~pl.col("kept")).select("shard", "id").collect()
    inside = rows.join(dropped, on=["shard", "id"], how="anti", maintain_order="left")
    gone = rows.join(dropped, on=["shard", "id"], how="semi").select("shard", "id").sort("shard", "id")
    return inside, [content_id("left the population", gone.rows())] if gone.height else []


def _learnt_beside(lake: Lake, other: OtherRatings, active: Collection[str]) -> OtherLens:
    rated, versions = training_rows(lake, other.lens, other.rater, active)
    rows, left = inside_population(lake, other.population, rated)
    gone = f"{rated.height - rows.height} ratings through {other.lens.name} of documents that {other.population} no "
    notes = (f"{gone}longer keeps are not used",) if left else ()
    return OtherLens(other.lens, other.rater, rows, versions, tuple(left), notes)


def produce_classifier(
    lake: Lake,
    models: ModelStore,
    encoder: ExportableEncoder,
    lens: Lens,
    rater: str,
    recipe: ClassifierRecipe,
    active: Collection[str],
    lineage: Mapping[str, Any],
    curation: CurationSettings = CurationSettings(),
    bench: Workbench | None = None,
    others: Sequence[OtherRatings] = (),
    population: str | None = None,
) -> ProducedClassifier:
    """Train on all judgements of the rater through the lens in the `active` shards, store, record; or return what is
    there. `curation` says how they are corrected where the recipe asks for curated labels; `bench` is where a
    fine-tune runs; `others` are what the recipe learns from beside this lens; `population` is the lens whose kept
    documents alone count, where there is one.
    A classifier that reads texts is not of the encoder: another one asks for no other classifier.

    Raises MissingUpstreamError, or TrainingError where the labels do not suffice.
    """
    rated, versions = training_rows(lake, lens, rater, active)
    rows, left = inside_population(lake, population, rated)
    reads_texts = recipe_of(recipe.model).reads == "texts"
    read = TEXT_ENCODER if reads_texts else encoder.id
    also = [_learnt_beside(lake, other, active) for other in others]
    # Labels are curated by the vectors of the encoder, also for a classifier that reads texts.
    curated = [curation.version, CURATION_RECIPE, encoder.id, LABELS_RECIPE] if recipe.labels == "curated" else []
    base = base_content(recipe.model, bench)
    inputs = inputs_version(
        versions, read, recipe.version, lens.version, rater, *curated, *base, *left, *(each.identity for each in also)
    )
    known = trained(lake, lens.name)
    for record in reversed(known):
        if record.inputs_version == inputs:
            try:
                folder = models.fetch(record.uri)
            except FileNotFoundError:
                break  # its files are lost: the same inputs make them again
            if record is not known[-1]:  # the inputs went back to what they were: this one is the newest again
                record = replace(record, trained_at=datetime.now(UTC))
                record_classifier(lake, record, lineage)
            held_out = pl.read_parquet(folder / HELD_OUT_FILE)
            errors = load_errors(folder)
            return ProducedClassifier(record, Report.from_json(record.metrics), held_out, errors, reused=True)
    notes = deviations(recipe.preset, encoder.settings)
    if left:
        notes += (f"{rated.height - rows.height} ratings of documents that {population} no longer keeps are not used",)
    notes += tuple(note for other in also for note in other.notes)
    if recipe.labels == "curated":
        vectors = vectors_for(lake, encoder.id, rows)
        rows, about_labels = with_curated_labels(rows, vectors, lens, recipe, curation, encoder.id)
        notes += about_labels
    learnt: Inputs = texts_for(lake, rows) if reads_texts else vectors_for(lake, encoder.id, rows)
    examples = {
        other.lens.name: learnable(other, recipe.held_out_share, partial(vectors_for, lake, encoder.id))
        for other in also
    }
    made = train(rows, learnt, lens, recipe, read, notes, examples, bench)
    subject = Subject(rater, rows, learnt, lens, recipe, made, examples, bench)
    measured = measure_quality(subject, lake, models, encoder.local_directory(), encoder.settings)
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name) / made.id
        export(folder, encoder.local_directory(), encoder.settings, made.scorer, lens, measured.report)
        made.held_out.write_parquet(folder / HELD_OUT_FILE)
        measured.save(folder)
        uri = models.put(f"classifiers/{lens.name}/{made.id}-{inputs}", folder)
    record = ClassifierRecord(
        lens=lens.name,
        classifier=made.id,
        encoder=read,
        recipe=recipe.version,
        uri=uri,
        inputs_version=inputs,
        rater=rater,
        metrics=measured.report.to_json(),
        passed=measured.report.verdict.passed,
        verdict="; ".join(measured.report.verdict.reasons),
        trained_at=datetime.now(UTC),
    )
    record_classifier(lake, record, lineage)
    errors = errors_markdown(measured.errors)
    return ProducedClassifier(record, measured.report, made.held_out, errors, reused=False)
