"""Scores made again in float32, of documents that a reduced precision leaves in doubt.

What belongs here: keeping them, and making those that are missing from the documents' texts. What does not: which
documents are in doubt (the filtering stage), how far a precision moves scores (`precision_sample.py`).

A score once made exactly is kept beside the classifier's scores, `exact_scores/<lens>`, so that another cut-off pays
only for what is near it and was near none before.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.cellwork import Produced, Target, refresh
from datashop_assets.classifier.recipes import Scorer
from datashop_assets.classifier.registry import ClassifierRecord
from datashop_assets.embedding.embed import STORED
from datashop_assets.embedding.inputs import texts_of
from datashop_assets.embedding.shard import SAVE_SECONDS
from datashop_assets.lineage import content_id
from datashop_assets.rating.lens import Lens
from datashop_assets.records import SCORES, Cell, TableSpec
from datashop_assets.scoring.exact_band import ErrorBound
from datashop_assets.scoring.precision_sample import bound_of, ensure_sample
from datashop_assets.scoring.score import ScoringError
from datashop_assets.scoring.state import OtherEncoderError, scores_target
from datashop_assets.scoring.tables import EXACT_SCORES
from datashop_assets.seams import Encoder, Lake, ModelStore, Progress, Staging

RECIPE = 1
ROWS = {"id": pl.String, "score": pl.Float32}
# Texts encoded together, and what a killed run reads again at most beside what was not kept yet.
BATCH = 512
# What is kept of so many shards is read together: opening a table costs as much as its files are many. A shard of
# 100,000 documents with 3 % of them near a bound has 0.2 MB.
SHARDS_AT_ONCE = 64


@dataclass(frozen=True)
class Exactness:
    """What scoring again takes: the project's encoder, the same in float32, where models and rows are kept, and the
    lenses, on whose scales scores are rounded."""

    encoder: Encoder
    exact: Encoder
    models: ModelStore
    staging: Staging
    log: Callable[[str], Any]
    lenses: Mapping[str, Lens]


@dataclass(frozen=True)
class ExactScorer:
    """Scores documents of a classifier's cells again; `bound` says which of its scores that can concern."""

    lake: Lake
    classifier: ClassifierRecord
    head: Scorer
    bound: ErrorBound
    means: Exactness
    lineage: Mapping[str, Any]

    def of(self, cell: Cell, scores_version: str, asked: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """Id, score and reduced of the asked documents (`id`, `reduced`) of a cell, in their order, and how many were
        made now. What is made is kept a batch at a time, and at the end in the table.

        Raises ScoringError where a document is gone or has no finite score.
        """
        table, means = EXACT_SCORES.of(self.classifier.lens), self.means
        target = Target(table, scores_target(self.classifier.lens, self.classifier.classifier).keys)
        version = exact_scores_version(scores_version, means.exact.id)
        known = self._known(target, cell, version)
        missing = asked.join(known, on="id", how="anti")
        if missing.height:
            progress = means.staging("exact", self.classifier.lens, self.classifier.classifier, cell.shard, version)
            made = missing.join(self._scored(cell.shard, missing["id"], progress), on="id", how="left")
            lost = made.filter(~pl.col("score").is_finite().fill_null(False))["id"].to_list()
            if lost:
                raise ScoringError(
                    f"{len(lost)} documents have no finite score in float32: {lost[:5]}; materialize `documents`, "
                    "`embeddings` and `scores` of their shard again"
                )
            # The cell is replaced whole: what other runs put there while this one scored stays in it.
            stored = self._rows(target, [cell.shard]).filter(version=version).select(known.columns)
            known = pl.concat([known, stored, made.select(known.columns)]).unique("id", maintain_order=True)
            rows = known
            list(refresh(self.lake, target, {cell: version}, lambda _: Produced(rows), self.lineage, again=[cell]))
            self._stored[cell.shard] = version
            self._read[cell.shard] = known
            progress.clear()
        found = asked.select("id").join(known, on="id", how="left", maintain_order="left")
        return found, missing.height

    def of_shard(self, shard: str, asked: pl.DataFrame) -> tuple[pl.DataFrame, int]:
        """The same of a shard with the scores that it had when one was asked for first."""
        return self.of(Cell(shard, self.classifier.lens), self._scored_as[shard], asked)

    def known_of_shard(self, shard: str, asked: pl.DataFrame) -> pl.DataFrame:
        """Id and score of the asked documents (`id`) of a shard, in their order: null where none is kept yet. Nothing
        is made."""
        lens, classifier = self.classifier.lens, self.classifier.classifier
        target = Target(EXACT_SCORES.of(lens), scores_target(lens, classifier).keys)
        version = exact_scores_version(self._scored_as[shard], self.means.exact.id)
        known = self._known(target, Cell(shard, lens), version).select("id", "score")
        return asked.select("id").join(known, on="id", how="left", maintain_order="left")

    @cached_property
    def _scored_as(self) -> dict[str, str]:
        """The version of each shard's scores by this classifier."""
        return self._versions(SCORES)

    @cached_property
    def _stored(self) -> dict[str, str]:
        """The version of each shard that has exact scores by this classifier: read once, for a look at a table costs
        as much as it has files."""
        return self._versions(EXACT_SCORES)

    def _versions(self, family: TableSpec) -> dict[str, str]:
        cells = self.lake.cells(family.of(self.classifier.lens)).filter(classifier=self.classifier.classifier)
        return dict(zip(cells["shard"].to_list(), cells["version"].to_list(), strict=True))

    @cached_property
    def _read(self) -> dict[str, pl.DataFrame]:
        """Id, score and reduced of the shards that were read last."""
        return {}

    def _known(self, target: Target, cell: Cell, version: str) -> pl.DataFrame:
        """What the cell has of this version: id, score, reduced."""
        nothing = target.table.empty().select("id", "score", "reduced")
        if self._stored.get(cell.shard) != version:
            return nothing
        if cell.shard not in self._read:
            after = [shard for shard in sorted(self._stored) if shard >= cell.shard][:SHARDS_AT_ONCE]
            current = self._rows(target, after).join(
                pl.DataFrame({"shard": after, "version": [self._stored[shard] for shard in after]}),
                on=["shard", "version"],
                how="semi",
            )
            self._read.clear()
            self._read.update(dict.fromkeys(after, nothing))
            self._read.update(
                {str(shard): rows.select(nothing.columns) for (shard,), rows in current.group_by("shard")}
            )
        return self._read[cell.shard]

    def _rows(self, target: Target, shards: list[str]) -> pl.DataFrame:
        """Shard, version, id, score and reduced of all that the shards have by this classifier."""
        where = {"classifier": [self.classifier.classifier], "shard": shards}
        return self.lake.scan(target.table, where).select("shard", "version", "id", "score", "reduced").collect()

    def _scored(self, shard: str, ids: pl.Series, progress: Progress) -> pl.DataFrame:
        """Id and score of these documents. A killed run goes on from what `progress` has."""
        kept = progress.scan()
        done = pl.DataFrame(schema=ROWS) if kept is None else kept.collect().unique("id", maintain_order=True)
        left = ids.filter(~ids.is_in(done["id"].implode()))
        unkept, saved = [done.clear()], time.monotonic()
        for texts in texts_of(self.lake, shard, left, rows=BATCH):
            # As stored vectors are rounded, so that the score is what a float32 project would have.
            vectors = self.means.exact.encode(texts["text"].to_list()).astype(STORED).astype(np.float32)
            made = texts.select("id", pl.Series("score", self.head.predict(vectors), pl.Float32))
            unkept.append(made)
            if time.monotonic() - saved > SAVE_SECONDS:
                progress.append(pl.concat(unkept))
                done, unkept, saved = pl.concat([done, *unkept]), [done.clear()], time.monotonic()
        self.means.log(f"{shard}: {len(left):,} documents scored again in float32")
        return pl.concat([done, *unkept])


def exact_scorer(lake: Lake, classifier: ClassifierRecord, means: Exactness, lineage: Mapping[str, Any]) -> ExactScorer:
    """The scorer of a classifier of vectors, its error bound measured first where that was not done.

    Raises OtherEncoderError where it reads other vectors than the project's encoder makes.
    """
    if classifier.encoder != means.encoder.id:
        raise OtherEncoderError(
            f"classifier {classifier.classifier} of lens {classifier.lens!r} was trained on encoder "
            f"{classifier.encoder}, the project's encoder is {means.encoder.id}: its scores near the cut-off cannot be "
            "made again. Materialize `embeddings`, `classifier` and `promotion`, or set `encoder` in the project file "
            "back."
        )
    # All recipes come with it: 0.05 s of every process that filters, for those that need none.
    from datashop_assets.classifier.known_recipes import load_scorer

    ensure_sample(lake, classifier.encoder, means.exact, lineage)
    head = load_scorer(means.models.fetch(classifier.uri))
    return ExactScorer(lake, classifier, head, bound_of(lake, classifier.encoder, head), means, lineage)


def exact_scores_version(scores_version: str, exact_encoder: str) -> str:
    return content_id("exact scores", RECIPE, scores_version, exact_encoder)


def commits_so_far(lake: Lake, names: Iterable[str]) -> int:
    """A number that grows with every commit of exact scores of these lenses; names of attributes have none."""
    return sum(lake.version(EXACT_SCORES.of(name)) or 0 for name in names)
