"""The lake: what a commit replaces, what it refuses, and what two writers at once leave behind."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.records import SCORES, SHARDS, TableSpec
from datashop_assets.seams import Commit, PermanentError
from datashop_assets.tables import TABLES
from resources.lake import REPLACE_ATTEMPTS, CellMismatchError, DeltaLake, LakeError, SchemaMismatchError

TABLE = TableSpec(
    "things",
    {"shard": pl.String, "rater": pl.String, "id": pl.String, "value": pl.Int64, "version": pl.String},
    partition_by=("shard", "rater"),
    key="id",
    version_column="version",
)


def rows(shard: str, rater: str, values: list[int], version: str = "v1") -> pl.DataFrame:
    return pl.DataFrame(
        {
            "shard": [shard] * len(values),
            "rater": [rater] * len(values),
            "id": [str(i) for i in range(len(values))],
            "value": values,
            "version": [version] * len(values),
        },
        schema=TABLE.schema,
    )


def cell(shard: str, rater: str = "r", version: str = "v1") -> dict[str, str]:
    return {"shard": shard, "rater": rater, "version": version}


def contents(lake: DeltaLake) -> dict[tuple[str, str], list[int]]:
    read = lake.read(TABLE).sort("shard", "rater", "id")
    return {
        (str(shard), str(rater)): part["value"].to_list()
        for (shard, rater), part in read.group_by("shard", "rater", maintain_order=True)
    }


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return DeltaLake(str(tmp_path / "lake"))


def test_a_table_that_nobody_wrote_reads_as_empty_with_its_schema(lake: DeltaLake) -> None:
    for table in TABLES:
        assert lake.read(table).schema == table.schema
        assert lake.cells(table).is_empty()
        assert lake.version(table) is None


def test_a_range_of_one_rater_leaves_all_other_cells_alone(lake: DeltaLake) -> None:
    """The case in which an off-the-shelf IO manager replaced the whole table and reported success."""
    everything = pl.concat([rows(s, r, [1, 2]) for s in "abc" for r in ("r", "q")])
    lake.commit(TABLE, everything, [cell(s, r) for s in "abc" for r in ("r", "q")], {})
    lake.commit(TABLE, pl.concat([rows("a", "r", [9]), rows("b", "r", [8])]), [cell("a"), cell("b")], {})
    assert contents(lake) == {
        ("a", "r"): [9],
        ("b", "r"): [8],
        ("c", "r"): [1, 2],
        **{(s, "q"): [1, 2] for s in "abc"},
    }


cells_strategy = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b", "it's"]), st.sampled_from(["r", 'q"x'])),
    st.lists(st.integers(0, 9), max_size=3),
    min_size=1,
    max_size=4,
)


@settings(max_examples=15, deadline=None)
@given(st.lists(cells_strategy, min_size=1, max_size=4))
def test_any_series_of_replacements_is_a_series_of_dictionary_updates(
    tmp_path_factory: pytest.TempPathFactory, commits: list[dict[tuple[str, str], list[int]]]
) -> None:
    lake = DeltaLake(str(tmp_path_factory.mktemp("lake")))
    model: dict[tuple[str, str], list[int]] = {}
    for number, commit in enumerate(commits):
        frame = pl.concat([rows(s, r, values, f"v{number}") for (s, r), values in commit.items()])
        lake.commit(TABLE, frame, [cell(s, r, f"v{number}") for s, r in commit], {})
        model.update(commit)
    assert contents(lake) == {key: values for key, values in model.items() if values}
    have = {(row["shard"], row["rater"]): row["rows"] for row in lake.cells(TABLE).to_dicts()}
    assert have == {key: len(values) for key, values in model.items()}, "a cell without rows is recorded as empty"


def test_the_version_of_a_cell_is_read_back_without_its_rows(lake: DeltaLake) -> None:
    lake.commit(TABLE, rows("a", "r", [1], "v7"), [cell("a", "r", "v7"), cell("b", "r", "v8")], {})
    assert lake.cells(TABLE).select("shard", "version", "rows").rows() == [("a", "v7", 1), ("b", "v8", 0)]


def test_a_compacted_table_has_the_same_cells_and_rows(lake: DeltaLake) -> None:
    for number in range(3):
        lake.commit(TABLE, rows("a", f"r{number}", [number]), [cell("a", f"r{number}")], {})
    lake.commit(TABLE, rows("b", "r", []), [cell("b")], {})
    before, rows_before = lake.cells(TABLE), contents(lake)
    stored = lake.open(TABLE)
    assert stored is not None
    stored.optimize.compact()
    assert lake.cells(TABLE).equals(before)
    assert contents(lake) == rows_before


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        pytest.param(rows("a", "r", [1]).drop("value"), ["value", "no such column"], id="a column is missing"),
        pytest.param(rows("a", "r", [1]).with_columns(extra=1), ["extra", "not declared"], id="a column too many"),
        pytest.param(
            rows("a", "r", [1]).with_columns(pl.col("value").cast(pl.Int32)), ["value", "Int32"], id="a wrong type"
        ),
        pytest.param(
            rows("a", "r", [1]).with_columns(id=pl.lit(None, pl.String)), ["no id"], id="a row without its key"
        ),
    ],
)
def test_a_frame_that_does_not_fit_is_refused_and_nothing_is_written(
    lake: DeltaLake, frame: pl.DataFrame, words: list[str]
) -> None:
    with pytest.raises(SchemaMismatchError) as error:
        lake.commit(TABLE, frame, [cell("a")], {})
    assert all(word in str(error.value) for word in ["things", "nothing was written", *words])
    assert lake.version(TABLE) is None


def test_rows_of_a_cell_that_the_commit_does_not_name_are_refused(lake: DeltaLake) -> None:
    with pytest.raises(CellMismatchError, match="not among the named cells"):
        lake.commit(TABLE, rows("b", "r", [1]), [cell("a")], {})
    with pytest.raises(CellMismatchError, match="names at least one cell"):
        lake.commit(TABLE, rows("b", "r", [1]), [], {})


def test_a_new_column_reads_as_null_in_old_rows_and_is_recorded(lake: DeltaLake) -> None:
    lake.commit(TABLE, rows("a", "r", [1]), [cell("a")], {})
    wider = TableSpec("things", {**TABLE.columns, "note": pl.String}, ("shard", "rater"), "id", "version", 2)
    assert lake.read(wider)["note"].to_list() == [None]
    lake.commit(wider, rows("b", "r", [2]).with_columns(note=pl.lit("new")), [cell("b")], {})
    assert lake.read(wider).sort("shard")["note"].to_list() == [None, "new"]
    stored = lake.open(wider)
    assert stored is not None
    assert stored.metadata().configuration["datashop.schema_version"] == "2"
    with pytest.raises(SchemaMismatchError, match="newer version"):
        lake.read(TABLE)


def test_a_commit_carries_its_lineage(lake: DeltaLake) -> None:
    lake.commit(TABLE, rows("a", "r", [1]), [cell("a")], {"run_id": "run-1", "inputs": {"documents": 4}})
    stored = lake.open(TABLE)
    assert stored is not None
    last = stored.history(1)[0]
    assert last["datashop.run_id"] == "run-1"
    assert last["datashop.inputs"] == '{"documents": 4}'


def test_credentials_never_appear_in_the_representation() -> None:
    assert "hunter2" not in repr(DeltaLake("s3://bucket", {"AWS_SECRET_ACCESS_KEY": "hunter2"}))


def test_each_commit_knows_the_version_that_it_made_itself(tmp_path: Path) -> None:
    uri = str(tmp_path / "lake")
    _write(uri, "z", 1)
    with ThreadPoolExecutor(4) as pool:
        made = pool.map(lambda shard: [_commit(uri, shard, n).version for n in range(5)], "abcd")
        versions = [version for of_one in made for version in of_one]
    assert len(set(versions)) == 20


def _commit(uri: str, shard: str, number: int) -> Commit:
    return DeltaLake(uri).commit(TABLE, rows(shard, "r", [number]), [cell(shard)], {})


def _write(uri: str, shard: str, times: int) -> None:
    lake = DeltaLake(uri)
    for number in range(times):
        lake.commit(TABLE, rows(shard, "r", [number] * 3), [cell(shard)], {})


@pytest.mark.parametrize(
    "shards",
    [pytest.param("abcd", id="each its own cell"), pytest.param("aaaa", id="all the same cell")],
)
def test_four_writers_at_once_lose_nothing(tmp_path: Path, shards: str) -> None:
    uri = str(tmp_path / "lake")
    context = multiprocessing.get_context("spawn")
    # A writer loses an attempt at a cell only to another's commit to it: here to 6, fewer than REPLACE_ATTEMPTS.
    writers = [context.Process(target=_write, args=(uri, shard, 2)) for shard in shards]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * 4
    assert contents(DeltaLake(uri)) == {(shard, "r"): [1, 1, 1] for shard in set(shards)}


def test_another_writer_who_never_lets_go_is_an_error_that_may_pass(
    lake: DeltaLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = []

    def conflicting(*_: object, **__: object) -> None:
        attempts.append(1)
        raise CommitFailedError("a concurrent transaction deleted data this operation read")

    lake.commit(TABLE, rows("a", "r", [1]), [cell("a")], {})
    monkeypatch.setattr("resources.lake.write_deltalake", conflicting)
    monkeypatch.setattr("resources.lake.time.sleep", lambda _: None)
    with pytest.raises(LakeError, match="things: another writer") as error:
        lake.commit(TABLE, rows("a", "r", [2]), [cell("a")], {})
    assert not isinstance(error.value, PermanentError)
    assert len(attempts) == REPLACE_ATTEMPTS


@pytest.mark.parametrize("cells", [[cell("a")], None], ids=["replaced", "appended"])
@pytest.mark.parametrize(
    "said", [OSError("operation timed out"), CommitFailedError("version 1 exists")], ids=["no answer", "asked again"]
)
def test_a_commit_whose_answer_is_lost_is_known_again(
    lake: DeltaLake, monkeypatch: pytest.MonkeyPatch, cells: list[dict[str, str]] | None, said: Exception
) -> None:
    """What is told to have failed, and tried again by those who asked for it, would be there twice."""
    attempts = []

    def unheard(*given: Any, **more: Any) -> None:
        attempts.append(1)
        write_deltalake(*given, **more)
        raise said

    monkeypatch.setattr("resources.lake.write_deltalake", unheard)
    made = lake.commit(TABLE, rows("a", "r", [1]), cells, {})
    assert (made.version, made.rows, len(attempts)) == (lake.version(TABLE), 1, 1)
    assert contents(lake) == {("a", "r"): [1]}


def test_a_write_that_fails_leaves_the_table_as_it_was(lake: DeltaLake) -> None:
    lake.commit(TABLE, rows("a", "r", [1]), [cell("a")], {})
    log = Path(lake.table_uri(TABLE)) / "_delta_log"
    # A file where the next log entry's folder should be: works for root as well, unlike permissions.
    moved = log.rename(log.with_name("_delta_log_kept"))
    log.touch()
    with pytest.raises(LakeError, match=r"things: .* the table is as it was") as error:
        lake.commit(TABLE, rows("a", "r", [2]), [cell("a")], {})
    assert not isinstance(error.value, PermanentError), "a full disk or a lost store may be mended the next time"
    log.unlink()
    moved.rename(log)
    assert contents(lake) == {("a", "r"): [1]}


@pytest.mark.parametrize("spec", TABLES, ids=lambda spec: spec.name)
def test_every_declared_table_round_trips(lake: DeltaLake, spec: TableSpec) -> None:
    """Types that Delta does not have (float16, durations, ...) would fail here, not in a run."""
    values = {
        pl.String: "x",
        pl.Int64: 1,
        pl.Int8: 1,
        pl.Float64: 0.5,
        pl.Float32: 0.5,
        pl.Boolean: True,
        pl.Binary: b"x",
    }
    row = {name: values.get(dtype.base_type()) for name, dtype in spec.schema.items()}
    frame = pl.DataFrame([row], schema=spec.schema)
    cells = None
    if spec.version_column:
        cells = [dict.fromkeys((*spec.partition_by, spec.version_column), "x")]
    lake.commit(spec, frame, cells, {})
    assert lake.read(spec).equals(frame)


def test_of_gives_each_lens_a_table_of_its_own(lake: DeltaLake) -> None:
    assert SCORES.of("edu").name == "scores/edu"
    assert lake.table_uri(SHARDS).endswith("/shards")
