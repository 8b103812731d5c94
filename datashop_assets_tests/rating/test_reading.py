"""Reading sampled documents: in the sample's order, a slice at a time, from one version of the table."""

from pathlib import Path

import polars as pl
import pytest

from datashop_assets.rating.judgement import Document
from datashop_assets.rating.reading import identities, read_documents
from datashop_assets.records import DOCUMENTS, TableSpec
from resources.lake import DeltaLake

COUNT = 10


def put(lake: DeltaLake, table: TableSpec, words: str = "words", **columns: list[str | None]) -> None:
    rows = [
        {"shard": "s1", "id": f"d{n}", "text": f"{words} {n}", "text_sha": f"t{n}", "chars": 7, "file": "f", "row": n}
        | {name: values[n] for name, values in columns.items()}
        for n in range(COUNT)
    ]
    frame = pl.DataFrame([dict.fromkeys(table.schema) | row | {"version": words} for row in rows], schema=table.schema)
    lake.commit(table, frame, [{"shard": "s1", "version": words}], {})


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    lake = DeltaLake(str(tmp_path))
    put(lake, DOCUMENTS)
    return lake


def wanted(*numbers: int) -> pl.DataFrame:
    return pl.DataFrame({"id": [f"d{n}" for n in numbers], "chars": [7] * len(numbers)})


class CountingLake:
    """Counts the scans and forwards them."""

    def __init__(self, lake: DeltaLake) -> None:
        self.lake = lake
        self.scans = 0

    def scan(self, *arguments: object) -> pl.LazyFrame:
        self.scans += 1
        return self.lake.scan(*arguments)


@pytest.mark.parametrize(
    ("slice_chars", "scans"),
    [
        pytest.param(1_000, 1, id="all of it fits into one slice"),
        pytest.param(14, 2, id="two documents a slice"),
        pytest.param(1, 4, id="no slice is smaller than one document"),
    ],
)
def test_documents_come_in_the_order_of_the_sample_in_as_few_scans_as_slices_need(
    lake: DeltaLake, slice_chars: int, scans: int
) -> None:
    counting = CountingLake(lake)
    read = read_documents(counting, "s1", None, wanted(7, 0, 9, 3), slice_chars)
    assert [document.text for document in read] == ["words 7", "words 0", "words 9", "words 3"]
    assert counting.scans == scans


def test_a_slice_is_read_only_when_its_first_document_is_asked_for(lake: DeltaLake) -> None:
    counting = CountingLake(lake)
    read = read_documents(counting, "s1", None, wanted(*range(COUNT)), slice_chars=14)
    assert counting.scans == 0
    assert [next(read).text for _ in range(3)] == ["words 0", "words 1", "words 2"]
    assert counting.scans == 2


def test_a_shard_that_is_parsed_again_meanwhile_is_read_as_it_was(lake: DeltaLake) -> None:
    before = lake.version(DOCUMENTS)
    put(lake, DOCUMENTS, "other words")
    assert next(read_documents(lake, "s1", before, wanted(1))).text == "words 1"
    assert identities(lake, "s1", before).height == COUNT


def test_a_document_that_is_not_there_is_named(lake: DeltaLake) -> None:
    with pytest.raises(LookupError, match="d77 of shard s1"):
        list(read_documents(lake, "s1", None, wanted(1, 77)))


def test_a_structured_record_comes_with_its_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = dict(DOCUMENTS.columns) | {"fields": pl.String}
    table = TableSpec(DOCUMENTS.name, columns, DOCUMENTS.partition_by, DOCUMENTS.key, DOCUMENTS.version_column)
    monkeypatch.setattr("datashop_assets.rating.reading.DOCUMENTS", table)
    lake = DeltaLake(str(tmp_path))
    put(lake, table, fields=['{"instruction": "add", "input": null}', *[None] * (COUNT - 1)])
    first, second = read_documents(lake, "s1", None, wanted(0, 1))
    assert first == Document("words 0", {"instruction": "add", "input": None})
    assert second == Document("words 1")
