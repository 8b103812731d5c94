"""A lake with documents and scores written by hand, and the stage's steps as plain calls."""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.classifier.registry import ClassifierRecord, Promotion
from datashop_assets.corpus.registry import register
from datashop_assets.filtering.decide import Decision, decide
from datashop_assets.filtering.drift import record_look
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.filtering.sketches import ranked_corpus, update_sketches
from datashop_assets.filtering.state import current_cutoff, record_cutoff, require_cutoff
from datashop_assets.filtering.verdicts import filter_cells
from datashop_assets.lineage import content_id
from datashop_assets.project import load_project
from datashop_assets.records import (
    CLASSIFIERS,
    DOCUMENTS,
    FILTERED,
    PROMOTIONS,
    SCORES,
    Cell,
    CrawlFile,
    Shard,
    TableSpec,
)
from datashop_assets_tests.worlds import DATASET, write_project
from resources.lake import DeltaLake

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class WatchedLake(DeltaLake):
    """Notes the shards whose rows are read, table by table."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        object.__setattr__(self, "read_shards", [])

    def scan(
        self, table: TableSpec, where: Mapping[str, Collection[str]] | None = None, version: int | None = None
    ) -> pl.LazyFrame:
        self.read_shards.extend((table.name.split("/")[0], shard) for shard in (where or {}).get("shard", ()))  # type: ignore[attr-defined]
        return super().scan(table, where, version)

    def shards_read(self, table: str) -> set[str]:
        """Of the table, since the last time that this was asked."""
        found = {shard for name, shard in self.read_shards if name == table}  # type: ignore[attr-defined]
        self.read_shards.clear()  # type: ignore[attr-defined]
        return found


class ScoredLake:
    """`lenses` are settings by lens; every lens's promoted classifier is its own name until `promote`."""

    def __init__(self, folder: Path, lenses: Mapping[str, Any], **changes: Any) -> None:
        self.folder = folder
        self.lake = WatchedLake(str(folder / "lake"))
        self.clock = 0
        self.classifiers: dict[str, str] = {}
        self.ask(lenses, **changes)
        for lens in lenses:
            self.promote(lens, f"{lens}-1")

    def ask(self, lenses: Mapping[str, Any], **changes: Any) -> None:
        """The project file, anew."""
        settings = {name: {"rater": "scripted"} | asked for name, asked in lenses.items()}
        self.project = load_project(write_project(self.folder, lenses=settings, **changes))

    def later(self) -> datetime:
        self.clock += 1
        return EPOCH + timedelta(minutes=self.clock)

    def promote(self, lens: str, classifier: str) -> None:
        self.classifiers[lens] = classifier
        made = ClassifierRecord(lens, classifier, "e", "r", "u", "i", "{}", True, "", self.later())
        self.lake.commit(CLASSIFIERS, pl.DataFrame([vars(made)], schema=CLASSIFIERS.schema), None, {})
        row = vars(Promotion(lens, classifier, self.later(), "me", False, None))
        self.lake.commit(PROMOTIONS, pl.DataFrame([row], schema=PROMOTIONS.schema), None, {})

    def add(
        self,
        shard: str,
        ids: Sequence[str],
        sources: Sequence[str | None] | None = None,
        pool_only: bool = False,
        texts: Sequence[str] | None = None,
    ) -> None:
        """Documents with these ids; they have a text where one is given."""
        made = Shard(DATASET, shard, int(shard[-1]), (CrawlFile(f"f-{shard}", 10, "x"),), pool_only)
        register(self.lake, [made], {})
        rows = pl.DataFrame({"id": ids, "source": sources or [None] * len(ids)}, schema_overrides={"source": pl.String})
        rows = rows.with_columns(
            shard=pl.lit(shard), version=pl.lit("d"), text_sha=pl.Series([content_id(one, length=32) for one in ids])
        )
        if texts is not None:
            rows = rows.with_columns(text=pl.Series(texts, dtype=pl.String))
        whole = pl.concat([DOCUMENTS.empty(), rows], how="diagonal")
        self.lake.commit(DOCUMENTS, whole, [{"shard": shard, "version": "d"}], {})

    def score(self, lens: str, shard: str, scores: Mapping[str, float | None], version: str = "s") -> None:
        """Scores by the lens's promoted classifier, document by document, in this order."""
        classifier = self.classifiers[lens]
        rows = pl.DataFrame(
            {"id": list(scores), "score": list(scores.values())}, schema={"id": pl.String, "score": pl.Float32}
        ).with_columns(
            pl.col("score").round().cast(pl.Int8).alias("int_score"),
            classifier=pl.lit(classifier),
            shard=pl.lit(shard),
            version=pl.lit(version),
        )
        cell = {"classifier": classifier, "shard": shard, "version": version}
        self.lake.commit(SCORES.of(lens), rows.select(list(SCORES.schema)), [cell], {})

    def rule(self, lens: str) -> Rule:
        return Rule.of(self.project.lenses[lens])

    def cut(self, lens: str) -> Decision:
        """What the asset `cutoff` does."""
        ranking = Ranking(lens, self.classifiers[lens], self.rule(lens))
        update_sketches(self.lake, ranking, self.project, {})
        corpus = ranked_corpus(self.lake, ranking, self.project)
        before = current_cutoff(self.lake, lens)
        made = decide(corpus, ranking.rule, lens, ranking.classifier, before, now=self.later())
        if made.is_new:
            record_cutoff(self.lake, made.record, {})
        record_look(self.lake, made.record, corpus.shards, {})
        return made

    def filter(self, lens: str, *shards: str) -> list[str]:
        """What the asset `filtered_documents` does; returns the shards that were not up to date."""
        cutoff, cells = require_cutoff(self.lake, lens), [Cell(shard, lens) for shard in shards]
        made = filter_cells(self.lake, cutoff, self.project, cells, {})
        return [outcome.cell.shard for outcome in made if not outcome.skipped]

    def verdicts(self, lens: str) -> dict[str, str]:
        """The reason code of every document."""
        return dict(self.lake.read(FILTERED.of(lens)).select("id", "reason").iter_rows())

    def kept(self, lens: str) -> set[str]:
        return set(self.lake.read(FILTERED.of(lens)).filter("kept")["id"])
