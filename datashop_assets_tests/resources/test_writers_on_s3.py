"""Eight processes write one table on a real S3 server at once, and two are killed in the middle of a commit."""

import multiprocessing
import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import polars as pl
import pytest

from datashop_assets.records import TableSpec
from datashop_assets_tests.object_store_server import ObjectStoreServer
from datashop_assets_tests.proxy import CutError, proxy_to
from resources.lake import DeltaLake
from resources.maintenance import vacuum
from resources.object_store import objects_below, split_url

TABLE = TableSpec(
    "things",
    {"shard": pl.String, "id": pl.String, "writer": pl.Int64, "version": pl.String},
    partition_by=("shard",),
    key="id",
    version_column="version",
)
WRITERS, COMMITS, ROWS = 8, 4, 3
SHARED, CONTESTED = "shared", 2
# Before the store has the log's entry, and after it has it but before the writer learns that.
BEFORE, AFTER = 5, 6
# Commits to an existing table alone: neither its creation nor the checkpoint that Delta writes beside every tenth one.
ENTRY = re.compile(r"/_delta_log/(?!0{20})\d{20}\.json$")


def shards_of(writer: int, commit: int) -> dict[str, int]:
    """The cells of a commit with their rows: one of the writer's own, and at its third one that all replace.

    At that one alone: a writer loses an attempt only where another has replaced the cell meanwhile. The six others that
    get so far cost it six attempts at most, fewer than a commit makes, on a machine of any speed.
    """
    shared = {SHARED: ROWS} if commit == CONTESTED else {}
    return {f"w{writer}-{commit}": ROWS, **shared}


def write(url: str, options: Mapping[str, str], writer: int, tell: Connection) -> None:
    """All commits of one writer; tells the table version of each one that returned."""
    lake = DeltaLake(url, options)
    for commit in range(COMMITS):
        shards = shards_of(writer, commit)
        rows = [(shard, f"{shard}:{n}", writer, "v1") for shard, count in shards.items() for n in range(count)]
        cells = [{"shard": shard, "version": "v1"} for shard in shards]
        frame = pl.DataFrame(rows, schema=TABLE.schema, orient="row")
        done = lake.commit(TABLE, frame, cells, {"writer": writer, "commit": commit})
        tell.send((commit, done.version))
    tell.send("finished")


@dataclass
class Killer:
    """Kills the process at its third commit: before its log entry reaches the store, or after.

    Entries are told apart by name: a client that waited too long for an answer sends what has arrived once more.
    """

    after: bool
    process: int | None = None
    entries: set[str] = field(default_factory=set)
    killed: bool = False

    def __call__(self, request: str, status: int | None) -> None:
        entry = ENTRY.search(request) if request.startswith("PUT ") else None
        if self.killed or entry is None:
            return
        if status == 200:
            self.entries.add(entry[0])
        third = len(self.entries) == 3 if self.after else len(self.entries) == 2 and entry[0] not in self.entries
        if third and (status == 200) is self.after and self.process is not None:
            os.kill(self.process, signal.SIGKILL)
            self.killed = True
            raise CutError


@dataclass
class Outcome:
    """What the writers told, by writer: the version of each commit that returned. `ended` are their exit codes."""

    url: str
    options: dict[str, str] = field(repr=False)
    returned: dict[int, dict[int, int]] = field(default_factory=dict)
    ended: dict[int, int | None] = field(default_factory=dict)

    @property
    def lake(self) -> DeltaLake:
        return DeltaLake(self.url, self.options)

    @property
    def history(self) -> list[dict[str, Any]]:
        stored = self.lake.open(TABLE)
        assert stored is not None
        return [entry for entry in stored.history() if "datashop.writer" in entry]

    def objects(self) -> set[str]:
        """The data files in the store, whether the log names them or not."""
        bucket, _ = split_url(self.url)
        keys = [each["Key"] for each in objects_below(self.lake.table_uri(TABLE), self.options)]
        return {f"s3://{bucket}/{key}" for key in keys if key.endswith(".parquet") and "/_delta_log/" not in key}

    def named(self) -> set[str]:
        """The data files that some version of the table has."""
        newest = self.lake.version(TABLE) or 0
        tables = [self.lake.open(TABLE, version) for version in range(newest + 1)]
        return {uri for table in tables if table is not None for uri in table.file_uris()}


def run_writers(outcome: Outcome, killers: Mapping[int, Killer], writers: range) -> None:
    """Run the writers to their ends, those with a killer behind a proxy that it watches."""
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as running:
        told = {}
        for writer in writers:
            options = dict(outcome.options)
            if killer := killers.get(writer):
                proxy = running.enter_context(proxy_to(options["AWS_ENDPOINT_URL"], killer))
                options["AWS_ENDPOINT_URL"] = proxy.url
            hear, tell = spawn.Pipe(duplex=False)
            process = spawn.Process(target=write, args=(outcome.url, options, writer, tell))
            process.start()
            tell.close()
            running.callback(process.kill)
            if killer:
                killer.process = process.pid
            told[writer] = hear, process
        for writer, (hear, process) in told.items():
            heard = list(_messages(hear))
            outcome.returned[writer] = dict(message for message in heard if message != "finished")
            process.join(timeout=60)
            outcome.ended[writer] = process.exitcode


def _messages(hear: Connection) -> Iterator[Any]:
    try:
        while True:
            yield hear.recv()
    except EOFError:
        return


@pytest.fixture(scope="module")
def outcome(s3_server: ObjectStoreServer) -> Outcome:
    """Eight writers have ended, two of them by a kill."""
    outcome = Outcome(f"{s3_server.url}/eight-writers", dict(s3_server.options))
    run_writers(outcome, {BEFORE: Killer(after=False), AFTER: Killer(after=True)}, range(WRITERS))
    return outcome


def test_only_the_killed_ones_did_not_finish(outcome: Outcome) -> None:
    assert outcome.ended == dict.fromkeys(range(WRITERS), 0) | dict.fromkeys((BEFORE, AFTER), -signal.SIGKILL)
    assert [len(outcome.returned[writer]) for writer in (BEFORE, AFTER)] == [2, 2], "killed during the third"


def test_every_commit_that_returned_is_there_once(outcome: Outcome) -> None:
    made = [(int(e["datashop.writer"]), int(e["datashop.commit"]), int(e["version"])) for e in outcome.history]
    told = [(writer, c, version) for writer, commits in outcome.returned.items() for c, version in commits.items()]
    (unheard,) = set(made) - set(told)
    assert unheard[:2] == (AFTER, 2), "its entry reached the store before the writer was killed"
    assert sorted(made) == sorted([*told, unheard])


def test_cells_are_whole_and_those_of_a_commit_that_never_was_are_not_there(outcome: Outcome) -> None:
    cells = {shard: rows for shard, _, rows in outcome.lake.cells(TABLE).rows()}
    there = {(BEFORE, commit) for commit in range(2)} | {(AFTER, commit) for commit in range(3)}
    there |= {(w, commit) for w in range(WRITERS) if w not in (BEFORE, AFTER) for commit in range(COMMITS)}
    assert cells == {f"w{writer}-{commit}": ROWS for writer, commit in there} | {SHARED: ROWS}
    assert set(outcome.lake.read(TABLE)["shard"]) == set(cells)


def test_what_a_killed_writer_had_written_lies_in_the_store_and_is_in_no_version(outcome: Outcome) -> None:
    left = outcome.objects() - outcome.named()
    assert any(f"shard=w{BEFORE}-2/" in uri for uri in left)


def test_a_cell_that_all_replace_is_one_writers_at_every_version(outcome: Outcome) -> None:
    """Nothing doubled, nothing mixed; and every version can be read."""
    last = {}
    for entry in sorted(outcome.history, key=lambda entry: int(entry["version"])):
        writer, commit = int(entry["datashop.writer"]), int(entry["datashop.commit"])
        last |= dict.fromkeys(shards_of(writer, commit), writer)
        rows = outcome.lake.read(TABLE, version=int(entry["version"]))
        assert dict(rows.select("shard", "writer").unique().rows()) == last
        assert rows["id"].is_unique().all()
        assert rows.height == ROWS * len(last)


def test_a_successor_makes_the_rest_and_what_is_left_over_is_vacuumed(outcome: Outcome) -> None:
    run_writers(outcome, {}, range(BEFORE, AFTER + 1))
    expected = {f"w{writer}-{commit}" for writer in range(WRITERS) for commit in range(COMMITS)} | {SHARED}
    before = outcome.lake.read(TABLE).sort("id")
    assert before["id"].to_list() == sorted(f"{shard}:{n}" for shard in expected for n in range(ROWS))
    newest = outcome.lake.version(TABLE) or 0
    gone = vacuum(outcome.lake, TABLE, retention_hours=0, keep_versions=range(newest + 1), dry_run=False)
    assert any(f"shard=w{BEFORE}-2/" in path for path in gone)
    assert outcome.objects() == outcome.named(), "only leftovers went"
    assert outcome.lake.read(TABLE).sort("id").equals(before)
