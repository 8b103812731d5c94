"""Tables become smaller to open and to keep, and nothing that anybody reads is lost: rows, cells, released versions."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest
from deltalake.exceptions import DeltaError

from datashop_assets.filtering.superseded import Search, Superseded
from datashop_assets.housekeeping.tidying import (
    compact_tables,
    crowded,
    released_versions,
    remove_superseded,
    vacuum_tables,
)
from datashop_assets.records import DOCUMENTS, FILTERED, PROMOTIONS, QUARANTINE, RELEASES, SCORES, TableSpec
from datashop_assets_tests.worlds import World
from resources import maintenance
from resources.lake import LOG_CLEANUP, DeltaLake
from resources.maintenance import TableBusyError

ROW = {"dataset": "crawl", "file": "f", "row": 0, "reason": "r", "detail": "d", "version": "v"}


def quarantine(shard: str, number: int) -> pl.DataFrame:
    return pl.DataFrame([ROW | {"shard": shard, "row": number}], schema=QUARANTINE.schema)


def append(lake: DeltaLake, shard: str, times: int) -> None:
    for number in range(times):
        lake.commit(QUARANTINE, quarantine(shard, number), None, {})


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """A table of which one partition has ten small files and another one."""
    lake = DeltaLake(str(tmp_path))
    append(lake, "crowded", 10)
    append(lake, "tidy", 1)
    return lake


@pytest.mark.parametrize(
    ("sizes", "least", "due"),
    [
        pytest.param({"a": [5] * 8, "b": [5] * 7}, 8, ["a"], id="as many small files as are too many"),
        pytest.param({"a": [5] * 4 + [20_000_000] * 9}, 8, [], id="large files do not count"),
        pytest.param({}, 2, [], id="an empty table"),
    ],
)
def test_only_partitions_of_many_small_files_are_crowded(
    sizes: dict[str, list[int]], least: int, due: list[str]
) -> None:
    rows = [{"shard": shard, "bytes": size} for shard, many in sizes.items() for size in many]
    files = pl.DataFrame(rows, schema={"shard": pl.String, "bytes": pl.Int64})
    assert crowded(files, least)["shard"].to_list() == due


def test_a_dry_run_says_what_it_would_do_and_does_nothing(lake: DeltaLake) -> None:
    before = lake.version(QUARANTINE)
    (chore,) = compact_tables(lake, 8, dry_run=True)
    assert (chore.what, chore.files, chore.done) == ("quarantine", 10, False)
    assert chore.bytes is not None
    assert chore.bytes > 0
    assert lake.version(QUARANTINE) == before


def test_crowded_partitions_are_compacted_and_others_are_left(lake: DeltaLake) -> None:
    rows, cells = lake.read(QUARANTINE).sort("shard", "row"), lake.cells(QUARANTINE)
    (chore,) = compact_tables(lake, 8, dry_run=False)
    assert chore.done
    assert "11 files are now 2" in chore.note
    assert lake.read(QUARANTINE).sort("shard", "row").equals(rows)
    assert lake.cells(QUARANTINE).equals(cells)
    assert list(compact_tables(lake, 8, dry_run=False)) == [], "a second pass has nothing to do"


def test_a_table_without_partitions_is_compacted_as_a_whole(world: World) -> None:
    world.land_shards(4)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    world.run("train_and_promote_classifier", "teaching")
    row = world.read(PROMOTIONS)
    for _ in range(9):
        world.lake.commit(PROMOTIONS, row, None, {})
    done = {chore.what: chore.note for chore in compact_tables(world.lake, 8, dry_run=False)}
    assert "10 files are now 1" in done["promotions"]
    assert world.read(PROMOTIONS).height == 10


def test_two_compactions_at_once_lose_and_double_nothing(lake: DeltaLake) -> None:
    rows = lake.read(QUARANTINE).sort("shard", "row")
    with ThreadPoolExecutor(2) as both:
        done = [list(made) for made in both.map(lambda _: compact_tables(lake, 8, dry_run=False), range(2))]
    assert any(chore.done for chores in done for chore in chores)
    assert lake.read(QUARANTINE).sort("shard", "row").equals(rows)


def test_a_table_that_others_keep_busy_is_left_alone_and_said(lake: DeltaLake, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise TableBusyError("table quarantine was not compacted, it is as it was: another writer")

    monkeypatch.setattr(maintenance, "compact", refuse)
    (chore,) = compact_tables(lake, 8, dry_run=False)
    assert not chore.done
    assert "left alone: table quarantine was not compacted" in chore.note


def test_a_writer_that_replaces_cells_meanwhile_wins_with_all_its_rows(lake: DeltaLake) -> None:
    def write() -> None:
        for number in range(100, 110):
            lake.commit(QUARANTINE, quarantine("crowded", number), [{"shard": "crowded", "version": "v"}], {})

    with ThreadPoolExecutor(2) as both:
        writing = both.submit(write)
        both.submit(lambda: list(compact_tables(lake, 2, dry_run=False))).result()
        writing.result()
    rows = lake.read(QUARANTINE).filter(pl.col("shard") == "crowded")
    assert rows["row"].to_list() == [109]


@pytest.fixture
def released(world: World) -> World:
    """A release, and then another judgement, cut-off and release: the tables of the first one are replaced."""
    return world.once(release_twice)


def release_twice(world: World) -> None:
    world.land_shards(4)
    world.run_all("teaching")
    lens = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.5}}
    for share in (0.5, 0.4):
        lens = lens | {"cutoff": {"keep_fraction": share}}
        world.change_project(lenses={"teaching": lens, "clarity": lens})
        world.run("set_cutoff", "teaching")
        world.run("filter_documents", "teaching")
    world.run("cut_release", "teaching")


def test_after_a_vacuum_every_release_can_be_read_as_it_was_cut(released: World) -> None:
    lake, wanted = released.lake, released_versions(released.lake)
    assert released.read(RELEASES).height == 2
    assert len(wanted["filtered_documents/teaching"]) == 2
    tables = {table.name: table for table in maintenance.stored_tables(lake)}
    before = {(name, v): lake.read(tables[name], version=v) for name, versions in wanted.items() for v in versions}
    between = max(wanted["filtered_documents/teaching"]) - 1
    assert lake.read(FILTERED.of("teaching"), version=between).height == 160

    list(compact_tables(lake, 2, dry_run=False))
    reported = {chore.what: chore for chore in vacuum_tables(lake, 0, dry_run=True)}
    assert not any(chore.done for chore in reported.values())
    assert lake.read(FILTERED.of("teaching"), version=between).height == 160, "a dry run takes nothing"

    done = {chore.what: chore for chore in vacuum_tables(lake, 0, dry_run=False)}
    freed = done["filtered_documents/teaching"]
    assert freed.done
    assert (freed.files, freed.bytes) == (reported[freed.what].files, reported[freed.what].bytes)
    assert freed.bytes is not None
    assert freed.bytes > 0
    assert "2 versions are kept for releases" in freed.note
    for (name, version), rows in before.items():
        assert lake.read(tables[name], version=version).equals(rows), f"{name} at {version}"
    with pytest.raises((OSError, DeltaError, pl.exceptions.PolarsError)):
        lake.read(FILTERED.of("teaching"), version=between)
    assert released.stale() == []


def test_young_files_stay_for_readers_that_are_under_way(released: World) -> None:
    assert [chore for chore in vacuum_tables(released.lake, 168, dry_run=False) if chore.done] == []


def test_what_killed_writers_left_is_taken_once_it_is_old(lake: DeltaLake, tmp_path: Path) -> None:
    orphan = tmp_path / "quarantine" / "shard=tidy" / "part-00000-killed.zstd.parquet"
    orphan.write_bytes(b"half a file")
    os.utime(orphan, (0, 0))
    (chore,) = [each for each in vacuum_tables(lake, 168, dry_run=False) if each.done]
    assert (chore.files, chore.bytes) == (1, 11)
    assert not orphan.exists()
    assert lake.read(QUARANTINE).height == 11


def test_logs_are_kept_so_that_a_released_version_can_be_read_for_ever(lake: DeltaLake) -> None:
    """With Delta's own settings a version is forgotten with its log, a month later, at the next checkpoint."""

    def age(table: DeltaLake, cleanup: str) -> None:
        stored = table.open(QUARANTINE)
        assert stored is not None
        stored.alter.set_table_properties(
            {
                "delta.logRetentionDuration": "interval 0 seconds",
                "delta.checkpointInterval": "2",
                "delta.enableExpiredLogCleanup": cleanup,
            },
            raise_if_not_exists=False,
        )

    age(lake, "true")
    list(vacuum_tables(lake, 168, dry_run=False))
    append(lake, "later", 5)
    assert maintenance.readable_versions(lake, QUARANTINE, [3]) == [3]


def test_a_version_that_was_lost_already_is_said_and_stops_nothing(released: World) -> None:
    scores = SCORES.of("teaching")
    (first,) = released_versions(released.lake)["scores/teaching"]
    released.lake.commit(scores, scores.empty(), None, {})
    stored = released.lake.open(scores)
    assert stored is not None
    stored.create_checkpoint()
    for entry in (Path(released.profile.lake) / "scores" / "teaching" / "_delta_log").glob("*.json"):
        if int(entry.stem) <= first:
            entry.unlink()
    assert maintenance.readable_versions(released.lake, scores, [first]) == []
    assert released.lake.read(scores).height == 160

    chores = {chore.what: chore for chore in vacuum_tables(released.lake, 0, dry_run=False)}
    assert f"of releases, [{first}] cannot be read any more" in chores["scores/teaching"].note
    assert chores["filtered_documents/teaching"].done
    assert released.lake.read(scores).height == 160


KILLED = """
import sys, time
from datashop_assets.housekeeping.tidying import compact_tables, vacuum_tables
from resources.lake import DeltaLake
lake = DeltaLake(sys.argv[1])
for chore in [*compact_tables(lake, 2, False)][:0]:
    pass
for chore in vacuum_tables(lake, 0, False):
    print(chore.what, flush=True)
    time.sleep(60)
"""


def test_killed_in_the_middle_everything_is_readable_and_the_next_pass_ends_it(released: World) -> None:
    lake, wanted = released.lake, released_versions(released.lake)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, released.profile.lake], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )
    assert process.stdout is not None
    first = process.stdout.readline().strip()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert first
    assert released.stale() == []
    again = {chore.what: chore for chore in vacuum_tables(lake, 0, dry_run=False)}
    assert first not in again
    assert again, "the rest was still to do"
    tables = {table.name: table for table in maintenance.stored_tables(lake)}
    for name, versions in wanted.items():
        for version in versions:
            lake.read(tables[name], version=version)


def search(table: TableSpec, shard: str) -> Search:
    return Search(table, lambda: [Superseded(table, "shard", shard, 1, 10, "by what is not in force")])


def broken(lake: DeltaLake, table: TableSpec) -> None:
    """Its log is no log any more."""
    lake.commit(table, table.empty(), None, {})
    for entry in (Path(lake.uri) / table.name / "_delta_log").glob("*.json"):
        entry.write_text("no log")


def test_a_table_that_cannot_be_read_is_left_alone_and_the_pass_goes_on(lake: DeltaLake) -> None:
    broken(lake, DOCUMENTS)
    assert DOCUMENTS.name < QUARANTINE.name, "it comes first"
    compacted = {chore.what: chore for chore in compact_tables(lake, 8, dry_run=False)}
    vacuumed = {chore.what: chore for chore in vacuum_tables(lake, 0, dry_run=False)}
    searches = [search(DOCUMENTS, "crowded"), search(QUARANTINE, "crowded")]
    removed = list(remove_superseded(lake, searches, 0, dry_run=False))
    for left, done in (
        (compacted["documents"], compacted["quarantine"]),
        (vacuumed["documents"], vacuumed["quarantine"]),
        (removed[0], removed[1]),
    ):
        assert not left.done
        assert left.note.startswith("left alone: table documents")
        assert "\n" not in left.note
        assert done.done


def test_where_releases_cannot_be_read_no_table_is_vacuumed(lake: DeltaLake) -> None:
    list(compact_tables(lake, 8, dry_run=False))
    broken(lake, RELEASES)
    (chore,) = vacuum_tables(lake, 0, dry_run=False)
    assert chore.what == "every table"
    assert chore.note.startswith("left alone: table releases: ")


def test_an_error_of_the_store_at_one_table_is_said_and_the_next_one_is_done(
    lake: DeltaLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.commit(DOCUMENTS, DOCUMENTS.empty(), [{"shard": "a", "version": "v"}], {})
    list(compact_tables(lake, 8, dry_run=False))
    sizes_of = maintenance.sizes_of

    def refuse(lake: DeltaLake, table: TableSpec, files: list[str]) -> dict[str, int]:
        if table.name == DOCUMENTS.name:
            raise PermissionError(13, "Permission denied", "part-00000")
        return sizes_of(lake, table, files)

    monkeypatch.setattr(maintenance, "sizes_of", refuse)
    left, done = vacuum_tables(lake, 0, dry_run=False)
    assert "left alone: table documents: [Errno 13] Permission denied" in left.note
    assert (done.what, done.done) == ("quarantine", True)


def test_two_vacuums_at_once_are_no_error(lake: DeltaLake) -> None:
    """Both set the table's log to be kept, as at the first pass over an older table."""
    list(compact_tables(lake, 8, dry_run=False))
    stored = lake.open(QUARANTINE)
    assert stored is not None
    stored.alter.set_table_properties({LOG_CLEANUP: "true"}, raise_if_not_exists=False)
    with ThreadPoolExecutor(4) as all_four:
        done = [list(made) for made in all_four.map(lambda _: list(vacuum_tables(lake, 0, False)), range(4))]
    notes = [chore.note for chores in done for chore in chores]
    assert not any("left alone" in note for note in notes), notes
    assert lake.read(QUARANTINE).height == 11
    assert not maintenance.keep_log(lake, QUARANTINE), "it is set"


def test_what_releases_need_of_a_table_is_looked_up_once(lake: DeltaLake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look opens every released version: a store answers that in seconds."""
    list(compact_tables(lake, 8, dry_run=False))
    asked, look = [], maintenance.readable_versions

    def counted(lake: DeltaLake, table: TableSpec, versions: set[int]) -> list[int]:
        asked.append(table.name)
        return look(lake, table, versions)

    monkeypatch.setattr(maintenance, "readable_versions", counted)
    assert [chore.done for chore in vacuum_tables(lake, 0, dry_run=False)] == [True]
    assert asked == ["quarantine"]


def test_what_was_written_just_now_is_not_taken_out(lake: DeltaLake) -> None:
    found = [search(QUARANTINE, "crowded"), search(QUARANTINE, "tidy")]
    assert list(remove_superseded(lake, found, 168, dry_run=False)) == []
    assert lake.read(QUARANTINE).height == 11
    assert len(list(remove_superseded(lake, found, 0, dry_run=False))) == 2


def test_what_nobody_reads_is_taken_out_and_the_version_before_still_has_it(lake: DeltaLake) -> None:
    before = lake.version(QUARANTINE)
    found = [search(QUARANTINE, "crowded")]
    (dry,) = remove_superseded(lake, found, 0, dry_run=True)
    assert (dry.files, dry.done, lake.version(QUARANTINE)) == (10, False, before)
    (chore,) = remove_superseded(lake, found, 0, dry_run=False)
    assert chore.done
    assert lake.read(QUARANTINE)["shard"].to_list() == ["tidy"]
    assert lake.read(QUARANTINE, version=before).height == 11
    assert list(lake.cells(QUARANTINE)["shard"]) == ["tidy"]
