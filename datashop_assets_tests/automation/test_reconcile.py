"""Wanted against have over the whole graph: what is asked for, and that doing it leaves nothing to ask for.

Work is done here by writing the wanted cells to the tables, without running any asset: what `stale_work` returns must
follow from the tables alone.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datashop_assets.automation.reconcile import Work, stale_work
from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.registry import ClassifierRecord, Promotion
from datashop_assets.corpus.documents import documents_version
from datashop_assets.corpus.registry import register, registered_shards
from datashop_assets.embedding.inputs import wanted_embeddings
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.decide import decide
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.filtering.sketches import ranked_corpus, update_sketches
from datashop_assets.filtering.state import current_cutoff, record_cutoff, wanted_filtered
from datashop_assets.graph import Graph, load_graph
from datashop_assets.project import load_project
from datashop_assets.records import (
    ANNOTATIONS,
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
from datashop_assets_tests.worlds import DATASET, LENSES, World, write_project
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
        assert decision.is_new
        record_cutoff(self.lake, decision.record, {})

    def _write(self, target: Target, wanted: dict[Cell, str]) -> None:
        stale = {c: v for c, v in wanted.items() if have(self.lake, target, [c]).get(c, (None, 0))[0] != v}
        if stale:
            cells = [{**target.keys(cell), "version": version} for cell, version in stale.items()]
            self.lake.commit(target.table, target.table.empty(), cells, {})


@pytest.fixture
def tables(tmp_path: Path) -> Tables:
    return Tables(tmp_path)


def test_nothing_is_stale_where_nothing_landed(tables: Tables) -> None:
    assert tables.stale() == []


def test_new_shards_are_asked_for_before_anything_that_reads_them(tables: Tables) -> None:
    tables.add_shards(3)
    tables.promote("teaching", "c1")
    assert [(w.job, w.stretch.lens, w.stretch.cells) for w in tables.stale()] == [("parse_and_embed_shards", None, 3)]


def test_work_goes_stage_by_stage_until_nothing_is_stale(tables: Tables) -> None:
    tables.add_shards(3)
    tables.promote("teaching", "c1")
    order = []
    while work := tables.stale():
        order += [(item.job, item.stretch.lens) for item in work]
        for item in work:
            tables.do(item)
    assert order == [
        ("parse_and_embed_shards", None),
        ("score_documents", "teaching"),
        ("set_cutoff", "teaching"),
        ("filter_documents", "teaching"),
    ]


def test_a_shard_that_is_not_parsed_does_not_hold_up_the_others(tables: Tables) -> None:
    tables.add_shards(2)
    tables.promote("teaching", "c1")
    tables.do(tables.stale()[0])
    tables.add_shards(1)
    assert [(w.job, w.stretch.first, w.stretch.last) for w in tables.stale()] == [
        ("parse_and_embed_shards", "crawl-00002", "crawl-00002"),
        ("score_documents", "crawl-00000", "crawl-00001"),
    ]


def test_the_cutoff_of_an_older_classifier_is_not_applied(tables: Tables) -> None:
    tables.add_shards(1)
    tables.promote("teaching", "c1")
    tables.cut("teaching", "k1", "c1")
    while work := tables.stale():
        for item in work:
            tables.do(item)
    tables.promote("teaching", "c2")
    (scoring,) = tables.stale()
    tables.do(scoring)
    (cutting,) = tables.stale()
    assert (cutting.job, cutting.partition_key) == ("set_cutoff", "teaching"), "filtering waits for its cut-off"
    tables.do(cutting)
    assert [w.job for w in tables.stale()] == ["filter_documents"]


@pytest.mark.parametrize(
    ("landed", "asked_for"),
    [
        ([1.0, 2.0, 3.0, 4.0] * 10, ["filter_documents"]),
        ([5.0, 6.0] * 20, ["set_cutoff"]),
    ],
    ids=["more of the same", "a crawl of better documents"],
)
def test_a_cutoff_is_decided_anew_when_what_landed_moves_the_kept_share(
    tables: Tables, landed: list[float], asked_for: list[str]
) -> None:
    tables.add_shards(1)
    tables.promote("teaching", "c1")
    tables.do(tables.stale()[0])
    tables.score("teaching", tables.shards[0], [1.0, 2.0, 3.0, 4.0] * 10)
    tables.decide_cutoff("teaching")
    tables.do(tables.stale()[0])
    assert tables.stale() == []

    tables.add_shards(1)
    tables.do(tables.stale()[0])
    tables.score("teaching", tables.shards[1], landed)
    assert [work.job for work in tables.stale()] == asked_for


def test_shards_of_a_landing_taken_out_of_the_project_rest(tables: Tables) -> None:
    tables.add_shards(2)
    landing = tables.graph.project.landings[0].model_copy(update={"dataset": "another"})
    project = tables.graph.project.model_copy(update={"landings": (landing,)})
    assert stale_work(tables.lake, Graph(project, tables.graph.lenses), ENCODER, tables.shards) == []


def stretches(work: list[Work]) -> list[tuple[str, str, str]]:
    return [(item.job, item.stretch.first, item.stretch.last) for item in work]


def test_a_shard_that_cannot_be_parsed_is_never_bridged_by_what_comes_after_it(tables: Tables) -> None:
    tables.add_shards(5)
    tables.broken = {"crawl-00002"}
    tables.promote("teaching", "c1")
    (parsing,) = tables.stale()
    tables.do(parsing)
    assert stretches(tables.stale()) == [
        ("parse_and_embed_shards", "crawl-00002", "crawl-00002"),
        ("score_documents", "crawl-00000", "crawl-00001"),
        ("score_documents", "crawl-00003", "crawl-00004"),
    ]
    for item in tables.stale():
        tables.do(item)  # raises where an input is missing
    assert stretches(tables.stale())[1:] == [("set_cutoff", "crawl-00000", "crawl-00004")]


def test_shards_of_another_project_on_the_same_instance_are_passed_over(tables: Tables) -> None:
    """Before, between and after this lake's own."""
    tables.shards.append("ghost-00000")
    tables.add_shards(2)
    tables.shards.append("ghost-00001")
    tables.add_shards(1)
    tables.promote("teaching", "c1")
    assert stretches(tables.stale()) == [
        ("parse_and_embed_shards", "crawl-00000", "crawl-00001"),
        ("parse_and_embed_shards", "crawl-00002", "crawl-00002"),
    ]
    for _ in range(4):
        for item in tables.stale():
            tables.do(item)
    assert tables.stale() == []


def test_work_goes_around_shards_that_are_busy_and_does_not_overtake_them(tables: Tables) -> None:
    tables.add_shards(5)
    tables.promote("teaching", "c1")
    tables.do(tables.stale()[0])

    def stale(job: str) -> list[tuple[str, str, str]]:
        def busy(asked: str, lens: str | None) -> list[str]:
            return ["crawl-00001"] if (asked, lens) == (job, "teaching") else []

        return stretches(stale_work(tables.lake, tables.graph, ENCODER, tables.shards, busy=busy))

    assert stale("score_documents") == [
        ("score_documents", "crawl-00000", "crawl-00000"),
        ("score_documents", "crawl-00002", "crawl-00004"),
    ]
    tables.do(tables.stale()[0])
    assert [work.job for work in tables.stale()] == ["set_cutoff"]
    assert stale("set_cutoff") == []


def test_only_a_lens_that_says_so_is_rated_by_itself_and_only_what_is_not_rated(tmp_path: Path) -> None:
    lens = {"rater": "scripted", "sample_per_shard": 3}
    write_project(tmp_path, lenses={"teaching": lens | {"auto_annotate": True}, "clarity": lens})
    world = World(tmp_path)
    world.land_shards(2, documents=5)
    assert world.reconcile() == ["parse_and_embed_shards", "rate_documents"]
    assert len(world.raters["scripted"].asked) == 6
    assert world.stale() == []
    world.land_shards(1, documents=5, start=2)
    assert world.reconcile() == ["parse_and_embed_shards", "rate_documents"]
    assert len(world.raters["scripted"].asked) == 9
    assert world.read(ANNOTATIONS.of("clarity")).is_empty()
    world.change_project(lenses={"teaching": lens | {"auto_annotate": True, "sample_per_shard": 4}, "clarity": lens})
    assert [(work.job, work.stretch.stale) for work in world.stale()] == [("rate_documents", 3)]


def test_the_same_work_has_the_same_key_and_other_wanted_versions_another(tables: Tables) -> None:
    tables.add_shards(1)
    tables.promote("teaching", "c1")
    tables.do(tables.stale()[0])
    (first,) = tables.stale()
    assert tables.stale() == [first]
    tables.promote("teaching", "c2")
    (second,) = tables.stale()
    assert first.key != second.key


def test_the_two_lenses_same_stretch_is_not_the_same_work(tables: Tables) -> None:
    tables.add_shards(1)
    for lens in LENSES:
        tables.promote(lens, "c1")
    tables.do(tables.stale()[0])
    work = tables.stale()
    assert [w.stretch.lens for w in work] == list(LENSES)
    assert len({w.key for w in work}) == 2


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.just("shards"), st.integers(1, 3)),
        st.tuples(st.just("broken"), st.integers(1, 2)),
        st.tuples(st.just("ghost"), st.integers(0, 9)),
        st.tuples(st.just("promote"), st.sampled_from(LENSES), st.sampled_from(["c1", "c2"])),
        st.tuples(st.just("cut"), st.sampled_from(LENSES), st.sampled_from(["c1", "c2"])),
        st.tuples(st.just("age"), st.sampled_from(["documents", "embeddings"]), st.integers(0, 5)),
        st.tuples(st.just("work"), st.integers(0, 2)),
    ),
    max_size=8,
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(events=EVENTS)
def test_whatever_happened_the_work_finds_its_inputs_and_ends(
    events: list[tuple], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tables = Tables(tmp_path_factory.mktemp("tables"))
    for number, (kind, *what) in enumerate(events):
        if kind in ("shards", "broken"):
            tables.add_shards(*what)
            tables.broken |= set(tables.shards[-what[0] :]) if kind == "broken" else set()
        elif kind == "ghost":
            tables.shards.append(f"ghost-{number:05d}")
        elif kind == "promote":
            tables.promote(*what)
        elif kind == "cut":
            tables.cut(what[0], f"k{number}", what[1])
        elif kind == "age" and what[1] < len(registered_shards(tables.lake)):
            table = DOCUMENTS if what[0] == "documents" else EMBEDDINGS.of(ENCODER)
            tables.lose(Target(table), Cell(f"{DATASET}-{what[1]:05d}"))
        elif kind == "work":
            for item in tables.stale()[: what[0]]:
                tables.do(item)  # raises where an input is missing
    for _ in range(4):  # as many looks as there are stages, and one more
        for item in tables.stale():
            tables.do(item)
    left = tables.stale()
    assert {work.job for work in left} <= {"parse_and_embed_shards"}
    assert tables.broken <= {shard for work in left for shard in tables.inside(work)}, "these stay asked for"
    assert sum(work.stretch.stale for work in left) == len(tables.broken), "and nothing else is"
