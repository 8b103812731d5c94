"""The kept texts of a corpus, in order, however the tables lie on disk, and never more of them at once than asked."""

import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.release import write_release
from datashop_assets.filtering.texts import KeptTexts, read_together
from datashop_assets.records import DOCUMENTS, FILTERED, SCORES
from datashop_assets_tests.filtering.release_samples import contents, facts
from resources.lake import DeltaLake

SHARDS = ["web-00001", "web-00000", "empty-00000", "code-00000"]  # a crawl order that is not the alphabet's
ROWS = {"web-00001": 40, "web-00000": 7, "empty-00000": 0, "code-00000": 5}


def document(shard: str, number: int) -> dict:
    """Ids repeat from shard to shard. Files of ten rows, named against the order of their numbers' digits."""
    return {
        "shard": shard,
        "id": f"d{number}",
        "dataset": shard.split("-")[0],
        "source": "here",
        "license": None,
        "text": f"text {number} of {shard} " * (number % 4 + 1),
        "text_sha": "",
        "chars": len(f"text {number} of {shard} ") * (number % 4 + 1),
        "file": f"part-{number // 10:03d}.jsonl",
        "row": number % 10,
        "fields": None,
        "version": "v",
    }


def kept(shard: str, number: int) -> bool:
    return hashlib.sha256(f"{shard}{number}".encode()).digest()[0] % 3 != 0


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    return lake_in(tmp_path / "lake", seed=0)


def lake_in(folder: Path, seed: int) -> DeltaLake:
    """Each table's rows lie in an order of their own, in several files a shard."""
    lake, draw = DeltaLake(str(folder)), random.Random(seed)
    for table, classifier in ((DOCUMENTS, None), (SCORES.of("l"), "c"), (FILTERED.of("l"), None)):
        for shard, count in ROWS.items():
            numbers = draw.sample(range(count), count)
            rows = [
                document(shard, n)
                | {
                    "classifier": classifier,
                    "score": n / 7,
                    "int_score": 1,
                    "kept": kept(shard, n),
                    "reason": "",
                    "detail": None,
                }
                for n in numbers
            ]
            frame = (
                pl.DataFrame(rows, schema_overrides=dict(table.schema)).select(list(table.columns))
                if rows
                else (table.empty())
            )
            cell = {"shard": shard, "version": "v"} | ({"classifier": classifier} if classifier else {})
            lake.commit(table, [frame[:3], frame[3:]], [cell], {})
    return lake


def texts(lake: DeltaLake, **bounds: int) -> KeptTexts:
    cutoff = CutoffRecord(
        lens="l", cutoff="k", classifier="c", policy="{}", lower=0.0, upper=None, reverse=False, kept_share=0.5,
        documents=1, shards=(), created_at=datetime.now(UTC),
    )  # fmt: skip
    versions = {table.name: lake.version(table) or 0 for table in (DOCUMENTS, SCORES.of("l"), FILTERED.of("l"))}
    return KeptTexts(lake, cutoff, SHARDS, versions, **({"rows": 100} | bounds))


EXPECTED = [document(shard, n) | {"score": n / 7} for shard in SHARDS for n in range(ROWS[shard]) if kept(shard, n)]


@pytest.mark.parametrize(
    "bounds",
    [
        pytest.param({"rows": 100}, id="all at once"),
        pytest.param({"rows": 6}, id="a few rows at once"),
        pytest.param({"rows": 1}, id="one document at once"),
        pytest.param({"rows": 100, "chars": 200}, id="few characters at once"),
    ],
)
def test_every_kept_document_comes_once_in_crawl_order_and_no_other(lake: DeltaLake, bounds: dict[str, int]) -> None:
    frames = list(texts(lake, **bounds))
    found = pl.concat(frames)
    for column in ("shard", "id", "text", "source"):
        assert found[column].to_list() == [row[column] for row in EXPECTED], column
    assert found["score"].to_list() == pytest.approx([row["score"] for row in EXPECTED])
    assert all(frame.height <= bounds["rows"] for frame in frames)
    sizes = [int(frame["text"].str.len_chars().sum()) for frame in frames]
    assert all(size <= bounds.get("chars", 10**9) for size, frame in zip(sizes, frames, strict=True) if len(frame) > 1)


def test_lakes_with_the_same_documents_release_the_same_bytes(tmp_path: Path) -> None:
    """However their tables came to lie on disk."""
    released = []
    for seed in (1, 2):
        lake = lake_in(tmp_path / f"lake-{seed}", seed)
        write_release(tmp_path / f"r-{seed}", texts(lake, rows=6), facts())
        released.append(contents(tmp_path / f"r-{seed}"))
    assert released[0] == released[1]


def test_they_are_those_of_the_versions_asked_for(lake: DeltaLake) -> None:
    reader = texts(lake)
    before = pl.concat(list(reader))
    shard = pl.DataFrame([document("web-00000", 0)], schema=DOCUMENTS.schema).with_columns(version=pl.lit("w"))
    lake.commit(DOCUMENTS, shard, [{"shard": "web-00000", "version": "w"}], {})
    assert pl.concat(list(reader)).equals(before)


def test_a_document_that_is_gone_is_not_passed_over(lake: DeltaLake) -> None:
    """Its text is null, which a release refuses."""
    shard = pl.DataFrame([document("web-00000", 0)], schema=DOCUMENTS.schema).with_columns(version=pl.lit("w"))
    lake.commit(DOCUMENTS, shard, [{"shard": "web-00000", "version": "w"}], {})
    found = pl.concat(list(texts(lake)))
    assert found.height == len(EXPECTED)
    assert found["text"].null_count() > 0


@given(
    sizes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), max_size=40),
    rows=st.integers(1, 7),
    chars=st.integers(1, 60),
)
def test_what_is_read_together_is_bounded_and_nothing_is_lost(
    sizes: list[tuple[int, int]], rows: int, chars: int
) -> None:
    schema = {"shard": pl.Int64, "chars": pl.Int64}
    places = pl.DataFrame(sorted(sizes), schema=schema, orient="row").with_row_index()
    together = list(read_together(places, rows, chars))
    assert pl.concat([places.clear(), *together]).equals(places)
    for group in together:
        assert group.height <= rows
        assert group.height == 1 or group["chars"].sum() <= chars
        whole = places.filter(pl.col("shard").is_in(group["shard"].implode())).height == group.height
        assert whole or group["shard"].n_unique() == 1
