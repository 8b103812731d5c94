"""The tables of a project, written cell by cell without running any asset.

What belongs here: doing by hand what jobs do. What does not: what is asked of it (`test_reconcile.py`).
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from datashop_assets.automation.reconcile import Work, stale_work
from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.registry import ClassifierRecord, Promotion
from datashop_assets.corpus.documents import documents_version
from datashop_assets.corpus.registry import register, registered_shards
from datashop_assets.embedding.inputs import wanted_embeddings
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.decide import decide
from datashop_assets.filtering.drift import record_look
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.filtering.sketches import ranked_corpus, update_sketches
from datashop_assets.filtering.state import current_cutoff, record_cutoff, wanted_filtered
from datashop_assets.graph import Graph, load_graph
from datashop_assets.project import load_project
from datashop_assets.records import (
    CLASSIFIERS,
    DOCUMENTS,
    EMBEDDINGS,
    FILTERED,
    PROMOTIONS,
    Cell,
    CrawlFile,
    Shard,
)
from datashop_assets.scoring.state import scores_target, wanted_scores
from datashop_assets_tests.worlds import DATASET, write_project
from resources.lake import DeltaLake

ENCODER = "e"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class Tables:
    """The tables of a project, written by hand."""

    def __init__(self, folder: Path) -> None:
        self.lake = DeltaLake(str(folder / "lake"))
        self.graph: Graph = load_graph(load_project(write_project(folder)))
        self.shards: list[str] = []
        self.broken: set[str] = set()  # shards that no run can parse
        self.clock = 0

    def later(self) -> datetime:
        self.clock += 1
        return EPOCH + timedelta(minutes=self.clock)

    def add_shards(self, count: int) -> None:
        start = len(registered_shards(self.lake))
        made = [
            Shard(DATASET, f"{DATASET}-{n:05d}", n, (CrawlFile(f"f{n}", 10, "x"),)) for n in range(start, start + count)
        ]
        register(self.lake, made, {})
        self.shards += [shard.shard for shard in made]

    def promote(self, lens: str, classifier: str) -> None:
        now = self.later()
        row = vars(ClassifierRecord(lens, classifier, ENCODER, "r", "u", "i", "{}", True, "", now))
        self.lake.commit(CLASSIFIERS, pl.DataFrame([row], schema=CLASSIFIERS.schema), None, {})
        row = vars(Promotion(lens, classifier, now, "me", False, None))
        self.lake.commit(PROMOTIONS, pl.DataFrame([row], schema=PROMOTIONS.schema), None, {})

    def cut(self, lens: str, cutoff: str, classifier: str) -> None:
        now, asked = self.later(), Rule.of(self.graph.settings(lens)).text
        record_cutoff(
            self.lake, CutoffRecord(lens, cutoff, classifier, asked, 1.0, None, False, 0.5, 1, ("x",), now), {}
        )

    def lose(self, target: Target, cell: Cell) -> None:
        """The cell as an older recipe left it."""
        self._write(target, {cell: "an older version"})

    def stale(self) -> list[Work]:
        return stale_work(self.lake, self.graph, ENCODER, self.shards)

    def do(self, work: Work) -> None:
        """What the job would leave in the tables. Raises MissingUpstreamError where the inputs are not there."""
        cells = [Cell(shard, work.stretch.lens) for shard in self.inside(work)]
        if work.job == "parse_and_embed_shards":
            known = {shard.shard: shard for shard in registered_shards(self.lake)}
            landing = self.graph.project.landing(DATASET)
            cells = [cell for cell in cells if known[cell.shard].shard not in self.broken]
            self._write(Target(DOCUMENTS), {cell: documents_version(known[cell.shard], landing) for cell in cells})
            self._write(Target(EMBEDDINGS.of(ENCODER)), wanted_embeddings(self.lake, ENCODER, cells))
            return
        lens = str(work.stretch.lens)
        if work.job == "score_documents":
            classifier = self.promoted(lens)
            self._write(scores_target(lens, classifier), wanted_scores(self.lake, ENCODER, classifier, cells))
        elif work.job == "set_cutoff":
            assert work.partition_key == lens
            self.cut(lens, f"cut-off {self.later()}", self.promoted(lens))
        elif work.job == "filter_documents":
            cutoff = current_cutoff(self.lake, lens)
            assert cutoff is not None, "filtering was planned without a cut-off"
            assert cutoff.classifier == self.promoted(lens), "filtering was planned by another classifier's cut-off"
            self._write(Target(FILTERED.of(lens)), wanted_filtered(self.lake, cutoff, self.graph.project, cells))
        else:
            raise AssertionError(f"{work.job} is no job that reconciling may ask for")

    def inside(self, work: Work) -> list[str]:
        """What a run over the work's stretch covers."""
        return self.shards[self.shards.index(work.stretch.first) : self.shards.index(work.stretch.last) + 1]

    def promoted(self, lens: str) -> str:
        rows = self.lake.read(PROMOTIONS).filter(pl.col("lens") == lens).sort("promoted_at")
        return str(rows["classifier"].to_list()[-1])

    def score(self, lens: str, shard: str, scores: list[float]) -> None:
        """The shard's scores by the promoted classifier, with values."""
        classifier, cell = self.promoted(lens), Cell(shard, lens)
        version = wanted_scores(self.lake, ENCODER, classifier, [cell])[cell]
        target = scores_target(lens, classifier)
        ids = [f"{shard}-{n}" for n in range(len(scores))]
        rows = pl.DataFrame({"id": ids, "score": scores}, schema_overrides={"score": pl.Float32}).with_columns(
            pl.lit(0, pl.Int8).alias("int_score"),
            *(pl.lit(text).alias(name) for name, text in {**target.keys(cell), "version": version}.items()),
        )
        address = [{**target.keys(cell), "version": version}]
        self.lake.commit(target.table, rows.select(list(target.table.schema)), address, {})

    def decide_cutoff(self, lens: str) -> None:
        """What the asset `cutoff` records for the scores as they are."""
        classifier, rule = self.promoted(lens), Rule.of(self.graph.settings(lens))
        ranking = Ranking(lens, classifier, rule)
        update_sketches(self.lake, ranking, self.graph.project, {})
        corpus = ranked_corpus(self.lake, ranking, self.graph.project)
        decision = decide(corpus, rule, lens, classifier, current_cutoff(self.lake, lens), now=self.later())
        if decision.is_new:
            record_cutoff(self.lake, decision.record, {})
        record_look(self.lake, decision.record, corpus.shards, {})

    def _write(self, target: Target, wanted: dict[Cell, str]) -> None:
        stale = {c: v for c, v in wanted.items() if have(self.lake, target, [c]).get(c, (None, 0))[0] != v}
        if stale:
            cells = [{**target.keys(cell), "version": version} for cell, version in stale.items()]
            self.lake.commit(target.table, target.table.empty(), cells, {})
