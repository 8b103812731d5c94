"""A shard of any size: the same vectors as at once, in the documents' order, and nothing computed twice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from datashop_assets.embedding import shard as module
from datashop_assets.embedding.embed import unpack
from datashop_assets.embedding.inputs import _stretches, document_batches, document_places
from datashop_assets.embedding.produce import embed_cells
from datashop_assets.embedding.shard import LostProgressError, embed_shard, progress_line
from datashop_assets.encoding_figures import EncodingFigures
from datashop_assets.records import DOCUMENTS, EMBEDDINGS, Cell
from resources.encoders import ScriptedEncoder
from resources.lake import DeltaLake
from resources.staging import FolderProgress

DOCUMENT_COUNT = 3000


class StoppedError(RuntimeError):
    """What a kill is to a test."""


class CountingEncoder:
    """Counts the texts that it has encoded, and stops before it encodes more than `most`."""

    id = "counting"
    usage = EncodingFigures()

    def __init__(self, most: int = 10**9) -> None:
        self.most, self.encoded = most, 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        if self.encoded + len(texts) > self.most:
            raise StoppedError
        self.encoded += len(texts)
        # Two digits a value: float16 holds whole numbers up to 2,048.
        return np.array([divmod(int(text.split()[-1]), 100) for text in texts], np.float32).reshape(-1, 2)


class Clock:
    """A minute passes whenever it is asked."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 60
        return self.now


@pytest.fixture
def lake(tmp_path: Path) -> DeltaLake:
    """A shard of two files whose documents lie in the table in no order."""
    lake = DeltaLake(str(tmp_path / "lake"))
    numbers = pl.int_range(DOCUMENT_COUNT, eager=True)
    frame = pl.DataFrame(
        {
            "shard": "s",
            "id": numbers.cast(pl.String).str.zfill(5),
            "dataset": "d",
            "source": "d",
            "license": None,
            "text": "document " + numbers.cast(pl.String),
            "text_sha": numbers.cast(pl.String),
            "chars": 9 + numbers.cast(pl.String).str.len_chars().cast(pl.Int64),
            "file": pl.Series(["a.jsonl" if number < 1300 else "b.jsonl" for number in numbers]),
            "row": [number if number < 1300 else number - 1300 for number in numbers],
            "fields": None,
            "version": "v",
        }
    )
    shuffled = (
        frame.sample(fraction=1, shuffle=True, seed=0).cast(dict(DOCUMENTS.schema)).select(list(DOCUMENTS.schema))
    )
    lake.commit(DOCUMENTS, shuffled, [{"shard": "s", "version": "v"}], {})
    return lake


def numbers_of(rows: pl.DataFrame) -> list[int]:
    return [int(100 * high + low) for high, low in unpack(rows["embedding"])]


def test_batches_hold_every_document_once_in_file_order(lake: DeltaLake) -> None:
    places = document_places(lake, "s")
    batches = list(document_batches(lake, "s", places, rows=700))
    assert [batch.height for batch in batches] == [700, 700, 700, 700, 200]
    assert pl.concat(batches)["id"].to_list() == [f"{number:05d}" for number in range(DOCUMENT_COUNT)]


@given(
    lengths=st.lists(st.integers(0, 50), max_size=30),
    gaps=st.sets(st.integers(0, 29)),
    rows=st.integers(1, 8),
    chars=st.integers(1, 60),
)
def test_a_stretch_keeps_both_bounds_and_has_no_gap(lengths: list[int], gaps: set[int], rows: int, chars: int) -> None:
    places = pl.DataFrame(
        {"position": range(len(lengths)), "chars": lengths}, schema={"position": pl.Int64, "chars": pl.Int64}
    )
    places = places.filter(~pl.col("position").is_in(list(gaps)))
    stretches = list(_stretches(places, rows, chars))
    assert pl.concat([places.clear(), *stretches]).equals(places)
    for stretch in stretches:
        assert stretch.height <= rows
        assert stretch.height == 1 or stretch["chars"].sum() <= chars
        assert stretch["position"][-1] - stretch["position"][0] == stretch.height - 1


def test_a_run_that_ends_within_a_shard_computes_only_the_rest_the_next_time(lake: DeltaLake, tmp_path: Path) -> None:
    progress = FolderProgress(tmp_path / "staging")
    first = CountingEncoder(most=2500)
    with pytest.raises(StoppedError):
        embed_shard(lake, "s", first, progress, print, Clock())
    assert first.encoded == 2048
    second, said = CountingEncoder(), []
    embedded = embed_shard(lake, "s", second, FolderProgress(tmp_path / "staging"), said.append, Clock())
    assert second.encoded == DOCUMENT_COUNT - first.encoded
    assert "2,048 of 3,000 documents were embedded before" in said[0]
    rows = pl.concat(embedded)
    assert numbers_of(rows) == list(range(DOCUMENT_COUNT))
    assert rows["id"].to_list() == [f"{number:05d}" for number in range(DOCUMENT_COUNT)]


def test_two_runs_on_one_shard_give_each_document_once(lake: DeltaLake, tmp_path: Path) -> None:
    for _ in range(2):  # both began before the other had kept anything
        embedded = embed_shard(lake, "s", CountingEncoder(), FolderProgress(tmp_path / "other"), print, Clock())
        kept = pl.concat([frame.with_row_index("position").cast({"position": pl.Int64}) for frame in embedded])
        FolderProgress(tmp_path / "staging").append(kept)
    embedded = embed_shard(lake, "s", CountingEncoder(0), FolderProgress(tmp_path / "staging"), print)
    assert numbers_of(pl.concat(embedded)) == list(range(DOCUMENT_COUNT))


def test_vectors_that_another_run_took_away_are_an_error_and_no_hole(lake: DeltaLake, tmp_path: Path) -> None:
    progress = FolderProgress(tmp_path / "staging")
    embedded = embed_shard(lake, "s", CountingEncoder(), progress, print, Clock())
    progress.clear()
    with pytest.raises(LostProgressError, match="run again"):
        list(embedded)


def test_a_shard_that_is_committed_in_several_frames_is_whole(
    lake: DeltaLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FRAME_ROWS", 512)
    monkeypatch.setattr("datashop_assets.embedding.produce.FRAME_ROWS", 512)
    folder = tmp_path / "staging"

    def staging(*parts: str) -> FolderProgress:
        return FolderProgress(folder.joinpath(*parts))

    outcomes = list(embed_cells(lake, ScriptedEncoder(8), [Cell("s")], staging, print, {}))
    assert [outcome.rows for outcome in outcomes] == [DOCUMENT_COUNT]
    stored = lake.read(EMBEDDINGS.of("scripted-8"))
    assert sorted(stored["id"]) == [f"{number:05d}" for number in range(DOCUMENT_COUNT)]
    by_id = dict(zip(stored["id"], unpack(stored["embedding"]), strict=True))
    expected = ScriptedEncoder(8).encode(["document 1234"])[0]
    assert by_id["01234"] == pytest.approx(expected, abs=1e-3)
    assert not folder.exists() or not list(folder.rglob("*.parquet"))
    assert all(outcome.skipped for outcome in embed_cells(lake, ScriptedEncoder(8), [Cell("s")], staging, print, {}))


@pytest.mark.parametrize(
    ("done", "seconds", "said"),
    [
        (100, 10, "100 of 3,000 documents embedded, 10.0 documents/s, 4 min 50 s left"),
        (3000, 10, "3,000 of 3,000 documents embedded, 300.0 documents/s"),
        (1, 10, "1 of 3,000 documents embedded, 0.1 documents/s, 8 h 19 min left"),
    ],
    ids=["under way", "done", "slow"],
)
def test_progress_says_how_long_it_will_take(done: int, seconds: float, said: str) -> None:
    assert progress_line("s", done, 3000, seconds) == f"s: {said}"
