"""Attributes made elsewhere: what an entry is worth, in which files, and what has none."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from datashop_assets.attribute_settings import ImportedAttribute
from datashop_assets.attributes import imported
from datashop_assets.attributes.imported import ImportedFilesError, ImportedScores, list_files, value_of
from datashop_assets.corpus.readers import UnreadableFileError
from datashop_assets.records import DOCUMENTS, Cell
from resources.lake import DeltaLake


def settings(*files: object, **changes: Any) -> ImportedAttribute:
    plain = {"kind": "imported", "files": list(map(str, files)) or ["nowhere"], "attribute": "quality"}
    return ImportedAttribute.model_validate(plain | changes)


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """Two shards: `a` to `d`, and `d` to `f`: an id is unique within its shard."""
    lake = DeltaLake(str(tmp_path / "lake"))
    for shard, ids in {"first": "dcba", "second": "def"}.items():
        rows = [{"shard": shard, "id": id_, "file": "f", "row": row, "version": "v"} for row, id_ in enumerate(ids)]
        frame = pl.DataFrame(rows, schema=DOCUMENTS.schema)
        lake.commit(DOCUMENTS, frame, [{"shard": shard, "version": "v"}], {})
    return lake


def entry(id_: str, value: Any, name: str = "quality") -> dict[str, Any]:
    return {"id": id_, "attributes": {name: value}}


def lines(*entries: dict[str, Any]) -> bytes:
    return "\n".join(map(json.dumps, entries)).encode()


@pytest.mark.parametrize(
    ("given", "changes", "worth"),
    [
        pytest.param([[0, 10, 0.5]], {}, 0.5, id="one span"),
        pytest.param([[0, 10, 1.0], [10, 40, 0.0]], {}, 0.25, id="mean weighted by length"),
        pytest.param([[0, 0, 1.0], [0, 0, 0.0]], {}, 0.5, id="spans without length weigh alike"),
        pytest.param([[0, 10, 1.0], [10, 40, 0.0]], {"spans": "max"}, 1.0, id="max"),
        pytest.param([[0, 10, 1.0], [10, 40, 0.0]], {"spans": "min"}, 0.0, id="min"),
        pytest.param([[0, 10, 1.0], [10, 40, 2.0]], {"spans": "sum"}, 3.0, id="sum"),
        pytest.param([], {}, None, id="no spans"),
        pytest.param({"score": 3.5, "int_score": 4}, {}, 3.5, id="an object"),
        pytest.param({"score": 3.5, "int_score": 4}, {"field": "int_score"}, 4.0, id="another key of it"),
        pytest.param(2, {}, 2.0, id="a number"),
        pytest.param(None, {}, None, id="null"),
    ],
)
def test_what_an_entry_is_worth(given: Any, changes: dict[str, Any], worth: float | None) -> None:
    assert value_of(given, settings(**changes)) == (worth if worth is None else pytest.approx(worth))


def test_files_of_every_format_are_read_and_joined_in_the_documents_order(lake: DeltaLake, tmp_path: Path) -> None:
    folder = tmp_path / "attributes" / "deep"
    folder.mkdir(parents=True)
    (folder / "1.jsonl").write_bytes(lines(entry("a", [[0, 1, 1.0]])))
    (folder / "2.jsonl.gz").write_bytes(gzip.compress(lines(entry("b", {"score": 2.0}))))
    (folder / "3.jsonl.zst").write_bytes(zstandard.compress(lines(entry("c", 3), entry("nobody", 9))))
    pl.DataFrame([entry("d", [[0.0, 1.0, 4.0]])]).write_parquet(folder / "4.parquet")
    scores = ImportedScores(lake, settings(tmp_path / "attributes" / "**" / "*"), [Cell("first"), Cell("second")])
    assert scores.of(Cell("first")).rows() == [("d", 4.0, None), ("c", 3.0, None), ("b", 2.0, None), ("a", 1.0, None)]
    assert scores.of(Cell("second")).rows() == [("d", 4.0, None), ("e", None, "no_entry"), ("f", None, "no_entry")]
    assert list(scores.about.values()) == [5, 1, 0]


def test_what_has_no_number_says_why(lake: DeltaLake, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(
        lines(
            entry("a", 1), entry("a", 1), entry("b", 1), entry("b", 2), entry("c", 1, name="other"), entry("d", "bad")
        )
        + b"\nno json\n"
    )
    scores = ImportedScores(lake, settings(tmp_path / "x.jsonl"), [Cell("first")])
    assert scores.of(Cell("first")).rows() == [
        ("d", None, "no_entry"),
        ("c", None, "no_value"),
        ("b", None, "several_entries"),
        ("a", 1.0, None),
    ]
    assert scores.about["rows that are no entry"] == 2


def test_the_files_are_read_once_for_as_many_shards_as_fit(
    lake: DeltaLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.jsonl").write_bytes(lines(*(entry(id_, number) for number, id_ in enumerate("abcdef"))))
    read: list[str] = []
    plain = imported.entries
    monkeypatch.setattr(imported, "entries", lambda file, given: read.append(file.url) or plain(file, given))

    def readings(documents: int) -> tuple[int, list[Any]]:
        monkeypatch.setattr(imported, "DOCUMENTS_A_READING", documents)
        read.clear()
        cells = [Cell("first"), Cell("second")]
        scores = ImportedScores(lake, settings(tmp_path / "x.jsonl"), cells)
        rows = [scores.of(cell).rows() for cell in cells]
        return len(read), rows

    (once, together), (twice, apart) = readings(100), readings(1)
    assert (once, twice) == (1, 2)
    assert together == apart


def test_files_that_are_missing_damaged_or_of_no_known_format_are_named(lake: DeltaLake, tmp_path: Path) -> None:
    with pytest.raises(ImportedFilesError, match=r"no file of attributes at .*nothing/\*"):
        list_files(settings(tmp_path / "nothing" / "*"))
    (tmp_path / "x.csv").write_text("id,score")
    with pytest.raises(ImportedFilesError, match=r"x\.csv is of no known format"):
        list_files(settings(tmp_path / "*.csv"))
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(lines(entry("a", 1)) * 1000)[:-20])
    with pytest.raises(UnreadableFileError, match=r"x\.jsonl\.gz is cut short"):
        ImportedScores(lake, settings(tmp_path / "x.jsonl.gz"), [Cell("first")]).of(Cell("first"))


def test_changed_files_have_another_content(lake: DeltaLake, tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_bytes(lines(entry("a", 1)))
    os.utime(tmp_path / "x.jsonl", (5, 5))
    before = ImportedScores(lake, settings(tmp_path / "x.jsonl"), []).content
    os.utime(tmp_path / "x.jsonl", (9, 9))  # copied or touched
    assert ImportedScores(lake, settings(tmp_path / "x.jsonl"), []).content == before
    (tmp_path / "x.jsonl").write_bytes(lines(entry("a", 2)))  # of the same size, at the same time
    os.utime(tmp_path / "x.jsonl", (5, 5))
    assert ImportedScores(lake, settings(tmp_path / "x.jsonl"), []).content != before


def test_what_was_recorded_by_the_time_of_the_last_change_stays_until_there_is_one(
    lake: DeltaLake, tmp_path: Path
) -> None:
    (tmp_path / "x.jsonl").write_bytes(lines(entry("a", 1)))
    (file,) = list_files(settings(tmp_path / "x.jsonl"))
    recorded = [[file.url, file.bytes, file.changed]]
    assert ImportedScores(lake, settings(tmp_path / "x.jsonl"), [], recorded).content == recorded
    os.utime(tmp_path / "x.jsonl", (5, 5))
    assert ImportedScores(lake, settings(tmp_path / "x.jsonl"), [], recorded).content != recorded
