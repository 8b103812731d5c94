"""The sensors as the daemon calls them: partitions in order, healed after a crash, and runs asked for once."""

import time

import dagster as dg
import pytest

from datashop_assets.automation.requests import WORK_TAG
from datashop_assets.corpus.registration import register_new_shards
from datashop_assets.corpus.registry import register, registered_shards, withdraw_shard
from datashop_assets.partitions import RANGE_TAGS, SHARDS, range_tags
from datashop_assets.project import Landing
from datashop_assets.records import CrawlFile, Shard
from datashop_assets_tests.worlds import DATASET, World, promote_for_four_shards
from resources.landing import FsspecLandingArea, LandingError, Listing

MAX_RUNS = 8  # as it comes: `automation.max_runs`


def tick(world: World, name: str, cursors: dict[str, str | None] | None = None) -> dg.SensorResult | dg.SkipReason:
    """One evaluation; what it asks of the partitions is done, as the daemon does. `cursors` are kept between ticks."""
    cursors = {} if cursors is None else cursors
    with dg.build_sensor_context(
        instance=world.instance, resources=world.defs.resources, cursor=cursors.get(name)
    ) as context:
        result = world.defs.get_sensor_def(name)(context)
        cursors[name] = context.cursor
    for request in getattr(result, "dynamic_partitions_requests", None) or []:
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            world.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        else:
            for key in request.partition_keys:
                world.instance.delete_dynamic_partition(request.partitions_def_name, key)
    return result


def test_new_files_become_partitions_in_crawl_order_and_a_second_look_finds_nothing(world: World) -> None:
    for name in ("b", "a", "c"):
        world.land(name, [1])
    tick(world, "landing_sensor")
    assert world.shards == ["crawl-00000", "crawl-00001", "crawl-00002"]
    assert [s.files[0].path for s in registered_shards(world.lake)] == ["a.jsonl", "b.jsonl", "c.jsonl"]
    assert "3 are registered" in tick(world, "landing_sensor").skip_message
    world.land("0-sorts-first", [1])
    tick(world, "landing_sensor")
    assert world.shards[-1] == "crawl-00003", "registered shards never change"


def test_shards_registered_before_a_crash_become_partitions_later(world: World) -> None:
    world.land("a", [1])
    register_new_shards(world.lake, world.graph.project, FsspecLandingArea().look, time.time(), {})
    assert world.shards == []
    tick(world, "landing_sensor")
    assert world.shards == ["crawl-00000"]


def test_the_landing_files_are_reported_with_their_counts(world: World) -> None:
    world.land("a", [1])
    tick(world, "landing_sensor")
    event = world.instance.get_latest_materialization_event(dg.AssetKey("landing_files"))
    assert event.asset_materialization.metadata["new shards"].value == 1


def test_two_registrars_at_once_lose_no_file(world: World) -> None:
    """Both saw file a; one also saw b. The first counts, and b comes into the next shard."""
    world.land("a", [1])
    world.land("b", [2])
    a, b = FsspecLandingArea().list_files(world.graph.project.landings[0])
    register(world.lake, [Shard(DATASET, "crawl-00000", 0, (a,))], {})
    register(world.lake, [Shard(DATASET, "crawl-00000", 0, (a, b))], {})
    tick(world, "landing_sensor")
    assert [[file.path for file in shard.files] for shard in registered_shards(world.lake)] == [
        ["a.jsonl"],
        ["b.jsonl"],
    ]


@pytest.fixture
def scorable(world: World) -> World:
    return world.once(promote_for_four_shards)


def test_stale_stretches_become_runs_of_their_job_over_their_range(scorable: World) -> None:
    (request,) = tick(scorable, "reconcile_sensor").run_requests
    assert request.job_name == "score_documents"
    assert request.tags["dagster/asset_partition_range_start"] == "teaching|crawl-00000"
    assert request.tags["dagster/asset_partition_range_end"] == "teaching|crawl-00003"
    (work,) = scorable.stale()
    assert request.tags[WORK_TAG] == work.target
    assert request.run_key.startswith(work.key)


def test_runs_as_requested_lead_to_filtered_documents_and_then_to_nothing(scorable: World) -> None:
    done = []
    while not isinstance(result := tick(scorable, "reconcile_sensor"), dg.SkipReason):
        (request,) = result.run_requests
        job = scorable.defs.resolve_job_def(request.job_name)
        run = job.execute_in_process(instance=scorable.instance, tags=request.tags, partition_key=request.partition_key)
        assert run.success
        done.append(request.job_name)
    assert done == ["score_documents", "set_cutoff", "filter_documents"]


def test_an_unchanged_request_has_the_same_run_key_within_the_cool_down(
    scorable: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster starts no second run for a run key: a stretch that fails is tried again after the cool-down."""
    keys = []
    for now in (360_000, 363_599, 363_600):  # the cool-down is an hour
        monkeypatch.setattr("datashop_assets.automation.sensors.time.time", lambda now=now: now)
        keys.append(tick(scorable, "reconcile_sensor").run_requests[0].run_key)
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    "status",
    [
        pytest.param(dg.DagsterRunStatus.NOT_STARTED, id="not started yet"),
        pytest.param(dg.DagsterRunStatus.STARTED, id="under way"),
    ],
)
def test_work_that_is_under_way_is_not_asked_for_again(scorable: World, status: dg.DagsterRunStatus) -> None:
    (request,) = tick(scorable, "reconcile_sensor").run_requests
    run = scorable.instance.create_run_for_job(
        scorable.defs.resolve_job_def(request.job_name), tags=request.tags, status=status
    )
    assert isinstance(tick(scorable, "reconcile_sensor"), dg.SkipReason)
    scorable.instance.report_run_failed(run)
    skipped = tick(scorable, "reconcile_sensor")
    assert "failed 1 time" in str(skipped.skip_message), "a failed stretch cools down first"
    scorable.change_project(automation={"cool_down_s": 1e-3})
    assert len(tick(scorable, "reconcile_sensor").run_requests) == 1


def test_the_rest_of_a_stretch_that_is_under_way_is_not_asked_for_either(scorable: World) -> None:
    """A run commits batch by batch, and shards land meanwhile: what is stale then is still the run's own."""
    (request,) = tick(scorable, "reconcile_sensor").run_requests
    job = scorable.defs.resolve_job_def(request.job_name)
    scorable.instance.create_run_for_job(job, tags=request.tags, status=dg.DagsterRunStatus.STARTED)
    scorable.run("score_documents", "teaching", shards=scorable.shards[:2])
    assert [(w.stretch.first, w.stretch.stale) for w in scorable.stale()] == [("crawl-00002", 2)]
    assert isinstance(tick(scorable, "reconcile_sensor"), dg.SkipReason)
    scorable.land_shards(1, start=4)
    (parsing,) = tick(scorable, "reconcile_sensor").run_requests
    assert parsing.job_name == "parse_and_embed_shards", "other jobs are not held up"


ASSET_JOB = "__ASSET_JOB"  # what Dagster calls a run of assets that are selected by hand


@pytest.mark.parametrize(
    ("job", "assets", "first", "last", "asked"),
    [
        pytest.param("score_documents", None, 0, 3, [], id="the job, over all of it"),
        pytest.param("score_documents", None, 0, 1, [("crawl-00002", "crawl-00003")], id="the job, over a part"),
        pytest.param("rate_documents", None, 0, 3, [("crawl-00000", "crawl-00003")], id="another job"),
        pytest.param(ASSET_JOB, "scores", 0, 3, [], id="the asset, in a backfill or by hand"),
        pytest.param(ASSET_JOB, "scores", 2, 2, [("crawl-00000", "crawl-00001"), ("crawl-00003",) * 2], id="one shard"),
        pytest.param(ASSET_JOB, "annotations", 0, 3, [("crawl-00000", "crawl-00003")], id="another asset"),
    ],
)
def test_what_a_person_has_under_way_is_not_asked_for_by_the_sensor(
    scorable: World, job: str, assets: str | None, first: int, last: int, asked: list[tuple[str, str]]
) -> None:
    shards = scorable.shards
    tags = range_tags("teaching", shards[first], shards[last])
    if first == last:
        tags = {"dagster/partition": f"teaching|{shards[first]}"}
    scorable.instance.create_run_for_job(
        scorable.defs.get_implicit_global_asset_job_def() if job == ASSET_JOB else scorable.defs.resolve_job_def(job),
        tags=tags,
        asset_selection=None if assets is None else frozenset({dg.AssetKey(assets)}),
        status=dg.DagsterRunStatus.STARTED,
    )
    result = tick(scorable, "reconcile_sensor")
    ranges = [tuple(r.tags[tag].split("|")[1] for tag in RANGE_TAGS) for r in getattr(result, "run_requests", [])]
    assert sorted(ranges) == asked


def test_new_shards_do_not_wait_for_one_that_cannot_be_read(scorable: World) -> None:
    """It has just failed, with its neighbours: only what that run covered cools down."""
    (scorable.folder / "landing" / "part-004.jsonl.gz").write_bytes(b"no archive")
    scorable.register()
    run = scorable.instance.create_run_for_job(
        scorable.defs.resolve_job_def("parse_and_embed_shards"),
        tags=range_tags(None, "crawl-00000", "crawl-00004") | {WORK_TAG: "asked for before"},
    )
    scorable.instance.report_run_failed(run)
    scorable.land_shards(1, start=5)
    parsing = [r for r in tick(scorable, "reconcile_sensor").run_requests if r.job_name == "parse_and_embed_shards"]
    assert [[r.tags[tag] for tag in RANGE_TAGS] for r in parsing] == [["crawl-00005", "crawl-00005"]]


def test_a_lens_that_is_rated_by_itself_is_asked_for_once_an_hour_at_most(world: World) -> None:
    """A budget bounds a run: where it ends before the sample, the next run would spend it again at once."""
    lens = {"rater": "scripted", "sample_per_shard": 3}
    world.change_project(lenses={"teaching": lens | {"auto_annotate": True}, "clarity": lens})
    world.land_shards(1, documents=5)
    world.run("parse_and_embed_shards")
    (request,) = tick(world, "reconcile_sensor").run_requests
    job = world.defs.resolve_job_def("rate_documents")
    assert job.execute_in_process(instance=world.instance, tags=request.tags).success
    world.change_project(lenses={"teaching": lens | {"auto_annotate": True, "sample_per_shard": 4}, "clarity": lens})
    assert [work.job for work in world.stale()] == ["rate_documents"]
    assert isinstance(tick(world, "reconcile_sensor"), dg.SkipReason)
    world.land_shards(1, documents=5, start=1)
    world.run("parse_and_embed_shards")
    (request,) = tick(world, "reconcile_sensor").run_requests
    assert request.tags[RANGE_TAGS[0]] == "teaching|crawl-00001", "other shards are rated"


def test_partitions_of_resting_shards_go_and_come_back_and_those_of_others_are_left_alone(world: World) -> None:
    world.land_shards(2, documents=1)
    world.instance.add_dynamic_partitions(str(SHARDS.name), ["ghost-00000"])
    withdraw_shard(world.lake, "crawl-00001", "wrong crawl", "me")
    (world.folder / "landing" / "part-001.jsonl").unlink()
    tick(world, "landing_sensor")
    assert world.shards == ["crawl-00000", "ghost-00000"]
    landing = {"dataset": DATASET, "url": "landing", "shard_bytes": 1, "settle_s": 0}
    world.change_project(landings=[landing | {"dataset": "other", "url": "lenses"}])
    tick(world, "landing_sensor")
    assert world.shards == ["ghost-00000"]
    world.change_project(landings=[landing])
    tick(world, "landing_sensor")
    assert world.shards == ["ghost-00000", "crawl-00000"]


def test_a_landing_that_is_missing_is_an_error_by_name_and_the_looks_at_the_others_go_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing = {"dataset": DATASET, "url": "landing", "shard_bytes": 1, "settle_s": 0}
    world.change_project(landings=[{"dataset": "later", "url": "nowhere"}, landing])
    world.land("a", [1])
    cursors: dict[str, str | None] = {}
    tick(world, "landing_sensor", cursors)
    assert world.shards == ["crawl-00000"]
    errors: list[str] = []
    monkeypatch.setattr("logging.Logger.error", lambda _, text: errors.append(text))
    for _ in range(2):
        said = tick(world, "landing_sensor", cursors).skip_message
        assert "1 are registered" in said
        assert "landing 'later': there is nothing at " in said
    assert len(errors) == 2
    assert '"settled": "a.jsonl"' in cursors["landing_sensor"], "the tick's cursor holds what was looked at"
    events = world.instance.fetch_materializations(dg.AssetKey("landing_files"), limit=9).records
    assert len(events) == 1, "the fault is told of once, not at each tick"


def test_a_fault_whose_words_are_others_at_each_look_is_told_of_once(world: World) -> None:
    class Down(FsspecLandingArea):
        looks = 0

        def look(self, landing: Landing, after: str = "", most: int | None = None) -> Listing:
            self.looks += 1
            raise LandingError(f"landing 'crawl': <connection 0x{self.looks:x}> is closed")

    world.overrides["landing"] = Down()
    world.reload()
    cursors: dict[str, str | None] = {}
    for _ in range(3):
        tick(world, "landing_sensor", cursors)
    assert len(world.instance.fetch_materializations(dg.AssetKey("landing_files"), limit=9).records) == 1


def test_files_that_nothing_reads_are_reported_once_and_again_when_that_changes(world: World) -> None:
    def told() -> list[list[str]]:
        records = world.instance.fetch_materializations(dg.AssetKey("landing_files"), limit=9).records
        return [record.asset_materialization.metadata["unknown files"].value for record in records]

    (world.folder / "landing" / "a.csv").write_text("text")
    with dg.build_sensor_context(instance=world.instance, resources=world.defs.resources) as context:
        sensor = world.defs.get_sensor_def("landing_sensor")
        sensor(context)
        sensor(context)
        assert told() == [["crawl: a.csv"]]
        (world.folder / "landing" / "a.csv").unlink()
        sensor(context)
        assert told() == [[], ["crawl: a.csv"]]


def test_no_more_runs_are_outstanding_than_allowed(world: World) -> None:
    """Shards far apart are runs of their own; the rest waits."""
    count = 5 * (MAX_RUNS + 2)
    register(
        world.lake,
        [Shard(DATASET, f"crawl-{n:05d}", n, (CrawlFile(f"f{n}", 1, "x"),)) for n in range(count)],
        {},
    )
    # Dagster knows shards in stretches only, five apart: what lies between them is of another dataset's time.
    keys = [f"crawl-{n:05d}" if n % 5 == 0 else f"unregistered-{n:05d}" for n in range(count)]
    world.instance.add_dynamic_partitions(str(SHARDS.name), keys)
    assert len(world.stale()) == MAX_RUNS + 2
    assert len(tick(world, "reconcile_sensor").run_requests) == MAX_RUNS


def test_a_changed_file_is_named_in_the_facts(world: World) -> None:
    file = world.land("a", [1])
    tick(world, "landing_sensor")
    world.land("a", [1, 2])
    world.land("b", [3])
    tick(world, "landing_sensor")
    event = world.instance.get_latest_materialization_event(dg.AssetKey("landing_files"))
    (change,) = event.asset_materialization.metadata["changed or vanished files"].value
    assert "a.jsonl of crawl-00000 changed" in change
    file.unlink()
    found = register_new_shards(world.lake, world.graph.project, FsspecLandingArea().look, time.time(), {})
    assert found.troubles["changed or vanished files"] == ["a.jsonl of crawl-00000 is gone"]


def test_more_shards_than_one_tick_registers_come_in_order_at_the_next_ticks(world: World) -> None:
    world.change_project(automation={"new_shards_per_tick": 2})
    for number in range(5):
        world.land(f"part-{number}", [number])
    cursors: dict[str, str | None] = {}
    seen = []
    for _ in range(4):
        tick(world, "landing_sensor", cursors)
        world.reload()  # the daemon and the code server may restart in between
        seen.append(len(world.shards))
    assert seen == [2, 4, 5, 5]
    assert [s.files[0].path for s in registered_shards(world.lake)] == [f"part-{n}.jsonl" for n in range(5)]
    assert world.shards == [s.shard for s in registered_shards(world.lake)]


def test_two_landings_share_the_shards_of_a_tick_and_keep_their_own_order(world: World) -> None:
    landing = {"url": "landing", "shard_bytes": 1, "settle_s": 0}
    (world.folder / "more").mkdir()
    world.change_project(
        landings=[landing | {"dataset": DATASET}, landing | {"dataset": "more", "url": "more"}],
        automation={"new_shards_per_tick": 3},
    )
    for number in range(2):
        world.land(f"part-{number}", [number])
        world.land(f"more-{number}", [9 + number]).rename(world.folder / "more" / f"more-{number}.jsonl")
    cursors: dict[str, str | None] = {}
    tick(world, "landing_sensor", cursors)
    assert world.shards == ["crawl-00000", "crawl-00001", "more-00000"]
    tick(world, "landing_sensor", cursors)
    assert world.shards[3:] == ["more-00001"]


@pytest.mark.parametrize("cursor", [None, "", "0123456789abcdef", '{"told": "x", "landings": {}}'])
def test_any_cursor_finds_what_is_there(world: World, cursor: str | None) -> None:
    """Of a first tick, of an earlier release, of a reset: the registry counts, not the cursor."""
    world.land("a", [1])
    tick(world, "landing_sensor", {"landing_sensor": cursor})
    world.land("b", [2])
    tick(world, "landing_sensor", {"landing_sensor": cursor})
    assert len(world.shards) == 2
