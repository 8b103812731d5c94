"""Wanted against have over the whole graph: what is asked for, and that doing it leaves nothing to ask for.

Work is done here by writing the wanted cells to the tables, without running any asset: what `stale_work` returns must
follow from the tables alone.
"""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datashop_assets.automation.reconcile import Work, outlook, stale_work
from datashop_assets.automation.work import told
from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.registry import Promotion, promoted
from datashop_assets.corpus.documents import documents_version
from datashop_assets.corpus.registry import registered_shards
from datashop_assets.graph import Graph
from datashop_assets.lineage import embeddings_version
from datashop_assets.records import (
    ANNOTATIONS,
    DOCUMENTS,
    EMBEDDINGS,
    PROMOTIONS,
    Cell,
)
from datashop_assets.scoring.state import scores_target, wanted_scores
from datashop_assets.seams import PermanentError
from datashop_assets_tests.automation.tables_by_hand import ENCODER, Tables
from datashop_assets_tests.worlds import DATASET, LENSES, World, write_project
from resources.raters.scripted import ScriptedRater


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


def test_what_is_scored_is_filtered_by_the_cutoff_in_force_while_new_shards_are_scored(tables: Tables) -> None:
    """Else a crawl that never stops would never be filtered."""
    tables.add_shards(3)
    tables.promote("teaching", "c1")
    for _ in range(3):
        tables.do(tables.stale()[0])
    tables.add_shards(1)
    tables.do(next(work for work in tables.stale() if work.job == "parse_and_embed_shards"))
    assert {(work.job, work.stretch.first, work.stretch.last) for work in tables.stale()} == {
        ("score_documents", "crawl-00003", "crawl-00003"),
        ("filter_documents", "crawl-00000", "crawl-00002"),
    }


@pytest.mark.parametrize(
    ("shards", "unscored", "largest", "decided"),
    [
        pytest.param(100, 1, None, True, id="one of a hundred that was not tried"),
        pytest.param(20, 1, None, False, id="one of twenty that was not tried"),
        pytest.param(20, 1, 16, False, id="one of twenty that failed once among others"),
        pytest.param(8, 1, 1, True, id="one of eight that failed alone"),
        pytest.param(8, 4, 1, False, id="half of them fail"),
    ],
)
def test_few_cells_that_fail_hold_up_no_cutoff(
    tables: Tables, shards: int, unscored: int, largest: int | None, decided: bool
) -> None:
    tables.add_shards(shards)
    tables.promote("teaching", "c1")
    tables.do(tables.stale()[0])
    tables.do(tables.stale()[0])
    lost = tables.shards[:unscored]
    for shard in lost:
        tables.lose(scores_target("teaching", "c1"), Cell(shard, "teaching"))

    def failed(job: str, lens: str | None) -> dict[str, int]:
        return dict.fromkeys(lost, largest) if largest and (job, lens) == ("score_documents", "teaching") else {}

    found = outlook(tables.lake, tables.graph, ENCODER, tables.shards, largest=failed)
    assert {work.job for work in found.work} == {"score_documents", *(["set_cutoff"] if decided else [])}
    assert [each.reason for each in found.waiting if each.lens == "teaching"] == ([] if decided else ["cut-off"])


def test_a_lens_that_cannot_be_planned_says_why_and_holds_up_no_other(tmp_path: Path) -> None:
    lens = {"rater": "scripted", "sample_per_shard": 3, "auto_annotate": True}
    write_project(tmp_path, lenses={"teaching": lens | {"rater": "other"}, "clarity": lens})
    world = World(tmp_path)
    world.land_shards(1, documents=5)
    world.run("parse_and_embed_shards")

    def raters(name: str) -> ScriptedRater:
        if name == "other":
            raise PermanentError("the model of rater 'other' is gone")
        return world.raters[name]

    found = outlook(world.lake, world.graph, world.encoder.id, world.shards, raters=raters)
    assert [(work.job, work.stretch.lens) for work in found.work] == [("rate_documents", "clarity")]
    (fault,) = [each for each in found.waiting if each.reason == "fault"]
    assert (fault.job, fault.lens, fault.cells) == ("rate_documents", "teaching", 1)
    assert "the model of rater 'other' is gone" in told(found)


def test_a_promoted_classifier_that_is_not_registered_is_a_fault_of_its_lens_alone(tables: Tables) -> None:
    tables.add_shards(2)
    for lens in LENSES:
        tables.promote(lens, "c1")
    tables.do(tables.stale()[0])
    tables.lake.commit(
        PROMOTIONS,
        pl.DataFrame(
            [vars(Promotion("teaching", "gone", tables.later(), "me", False, None))], schema=PROMOTIONS.schema
        ),
        None,
        {},
    )
    found = outlook(tables.lake, tables.graph, ENCODER, tables.shards)
    assert [(work.job, work.stretch.lens) for work in found.work] == [("score_documents", "clarity")]
    (fault,) = [each for each in found.waiting if each.reason == "fault"]
    assert (fault.lens, fault.reason, fault.cells) == ("teaching", "fault", 2)
    assert "gone" in fault.detail


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
    ("landed", "filtered"),
    [
        ([1.0, 2.0, 3.0, 4.0] * 10, 1),
        ([5.0, 6.0] * 20, 2),
    ],
    ids=["more of the same", "a crawl of better documents"],
)
def test_a_cutoff_is_looked_at_once_when_the_corpus_grew_and_decided_anew_where_the_kept_share_moved(
    tables: Tables, landed: list[float], filtered: int
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
    assert [work.job for work in tables.stale()] == ["set_cutoff"]
    tables.decide_cutoff("teaching")
    assert [(work.job, work.stretch.stale) for work in tables.stale()] == [("filter_documents", filtered)]


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
        ("score_documents", "crawl-00003", "crawl-00004"),
        ("parse_and_embed_shards", "crawl-00002", "crawl-00002"),
        ("score_documents", "crawl-00000", "crawl-00001"),
    ]
    for item in tables.stale():
        tables.do(item)  # raises where an input is missing
    assert [work.job for work in tables.stale()] == ["set_cutoff", "parse_and_embed_shards"]
    assert stretches(tables.stale())[0] == ("set_cutoff", "crawl-00000", "crawl-00004")


def test_shards_of_another_project_on_the_same_instance_are_passed_over(tables: Tables) -> None:
    """Before, between and after this lake's own."""
    tables.shards.append("ghost-00000")
    tables.add_shards(2)
    tables.shards.append("ghost-00001")
    tables.add_shards(1)
    tables.promote("teaching", "c1")
    assert stretches(tables.stale()) == [
        ("parse_and_embed_shards", "crawl-00002", "crawl-00002"),
        ("parse_and_embed_shards", "crawl-00000", "crawl-00001"),
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
        ("score_documents", "crawl-00002", "crawl-00004"),
        ("score_documents", "crawl-00000", "crawl-00000"),
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


def asked(tables: Tables) -> dict[tuple[str, str | None], int]:
    """Stale cells by job and lens, of the two jobs that `stale_by_hand` knows."""
    found: dict[tuple[str, str | None], int] = {}
    for work in tables.stale():
        if work.job in ("parse_and_embed_shards", "score_documents"):
            key = (work.job, work.stretch.lens)
            found[key] = found.get(key, 0) + work.stretch.stale
    return found


def stale_by_hand(tables: Tables) -> dict[tuple[str, str | None], int]:
    """The same, cell by cell, each from a fresh reading of the tables and without a plan."""
    found: dict[tuple[str, str | None], int] = {}
    ready = []
    for shard in registered_shards(tables.lake):
        cell = Cell(shard.shard)
        version = documents_version(shard, tables.graph.project.landing(DATASET))
        documents = have(tables.lake, Target(DOCUMENTS), [cell]).get(cell)
        vectors = have(tables.lake, Target(EMBEDDINGS.of(ENCODER)), [cell]).get(cell)
        if (documents, vectors) == ((version, 0), (embeddings_version(version, ENCODER), 0)):
            ready.append(shard.shard)
        else:
            found["parse_and_embed_shards", None] = found.get(("parse_and_embed_shards", None), 0) + 1
    for lens in LENSES:
        promotion = promoted(tables.lake, lens)
        for shard in ready if promotion else []:
            cell = Cell(shard, lens)
            wanted = wanted_scores(tables.lake, ENCODER, promotion.classifier, [cell])[cell]
            there = have(tables.lake, scores_target(lens, promotion.classifier), [cell]).get(cell, (None, 0))[0]
            if there != wanted:
                found["score_documents", lens] = found.get(("score_documents", lens), 0) + 1
    return found


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
            assert asked(tables) == stale_by_hand(tables)
            for item in tables.stale()[: what[0]]:
                tables.do(item)  # raises where an input is missing
    for _ in range(4):  # as many looks as there are stages, and one more
        for item in tables.stale():
            tables.do(item)
    left = tables.stale()
    assert {work.job for work in left} <= {"parse_and_embed_shards"}
    assert tables.broken <= {shard for work in left for shard in tables.inside(work)}, "these stay asked for"
    assert sum(work.stretch.stale for work in left) == len(tables.broken), "and nothing else is"
