"""Every format of a release holds the same documents, in the order that is asked for, a row group at a time."""

import gc
import json
import re
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import zstandard

from datashop_assets.filtering.formats import COLUMNS
from datashop_assets.filtering.release import first_rows, verify_release, write_release
from datashop_assets.tokens import TextTokenizer

# Text that breaks careless writers: line and paragraph separators, quotes, a null, a lone BOM, braces, emoji.
from datashop_assets_tests.filtering.release_samples import (
    EVERYTHING,
    FORMATS,
    batch,
    batches,
    facts,
)
from datashop_assets_tests.filtering.tokenizers_for_tests import small_tokenizer


@pytest.mark.parametrize("order", ["none", "within_files"])
def test_only_one_batch_is_held_at_a_time(tmp_path: Path, order: str) -> None:
    """When the next row group is asked for, the ones before the last are gone, and the last is on its way to disk."""
    handed_out: list[weakref.ref[pl.DataFrame]] = []
    alive: list[int] = []

    def watched() -> Iterator[pl.DataFrame]:
        for shard in range(6):
            gc.collect()
            alive.append(sum(frame() is not None for frame in handed_out))
            frame = batch(f"crawl-{shard}", 3)
            handed_out.append(weakref.ref(frame))
            yield frame
            del frame

    write_release(tmp_path / "r", watched(), facts(sort_by_score=order))
    assert max(alive) <= 1


def test_the_same_data_has_the_same_content_whatever_else_the_manifest_says(tmp_path: Path) -> None:
    other = replace(facts("other"), tables={"documents": 9})
    ids = [write_release(tmp_path / f.release, batches(), f).manifest["content"] for f in (facts(), other)]
    shorter = write_release(tmp_path / "shorter", [batch("crawl-0", 4)], facts()).manifest["content"]
    assert ids[0] == ids[1] != shorter


def lines_of(folder: Path) -> pl.DataFrame:
    content = [zstandard.decompress(path.read_bytes(), 1_000_000) for path in sorted(folder.glob("jsonl/*.zst"))]
    rows = [json.loads(line) for lines in content for line in lines.decode().split("\n") if line]
    return pl.DataFrame(rows, schema=COLUMNS)


def texts_in_tokens(folder: Path, tokenizer: TextTokenizer) -> list[tuple[str, str, str]]:
    found = []
    for file in sorted(folder.glob("tokenized/*.bin")):
        tokens = np.memmap(file, dtype="<u2", mode="r")
        for shard, id_, start, count in pl.read_parquet(file.with_suffix(".documents.parquet")).iter_rows():
            found.append((shard, id_, tokenizer.tokenizer.decode(tokens[start : start + count - 1].tolist())))
    return found


@pytest.mark.parametrize("order", ["none", "within_files"])
@pytest.mark.parametrize("file_bytes", [1, 400, 10**9])
def test_all_formats_hold_the_same_documents_in_the_same_order(tmp_path: Path, order: str, file_bytes: int) -> None:
    tokenizer = small_tokenizer()
    settings = facts(formats=FORMATS, sort_by_score=order, file_bytes=file_bytes, row_group_rows=2)
    info = write_release(tmp_path / "r", batches(), settings, tokenizer)
    parquet = pl.read_parquet(tmp_path / "r/data/*.parquet")
    assert lines_of(tmp_path / "r").equals(parquet)
    assert texts_in_tokens(tmp_path / "r", tokenizer) == parquet.select("shard", "id", "text").rows()
    assert parquet.sort("shard", "id").equals(EVERYTHING.sort("shard", "id"))
    manifest = info.manifest
    assert manifest["tokenized"]["tokens"] == sum(len(text.encode()) + 1 for text in EVERYTHING["text"])
    assert manifest["tokenized"]["tokenizer_id"] == tokenizer.id
    by_format = Counter[str]()
    for file in manifest["files"]:
        by_format[Path(file["path"]).suffix] += file.get("rows", 0)
    assert by_format[".zst"] == by_format[".bin"] == by_format[".idx"] == 7
    assert verify_release(tmp_path / "r") == []


@pytest.mark.parametrize("formats", [["parquet"], ["jsonl"], ["tokenized"]], ids=lambda formats: formats[0])
def test_only_what_is_asked_for_is_written(tmp_path: Path, formats: list[str]) -> None:
    info = write_release(tmp_path / "r", batches(), facts(formats=formats), small_tokenizer())
    folders = {"parquet": "data", "jsonl": "jsonl", "tokenized": "tokenized"}
    assert [path.name for path in (tmp_path / "r").iterdir() if path.is_dir()] == [folders[formats[0]]]
    assert info.manifest["documents"] == 7
    rows = first_rows(tmp_path / "r", 3)
    assert rows.equals(EVERYTHING.clear() if formats == ["tokenized"] else EVERYTHING.head(3))


def test_statistics_of_a_sorted_file_tell_which_row_groups_to_skip(tmp_path: Path) -> None:
    shards = [batch(f"crawl-{n}", 50) for n in range(4)]
    write_release(tmp_path / "r", shards, facts(sort_by_score="within_files", row_group_rows=20))
    file = pq.ParquetFile(tmp_path / "r/data/train-00000-of-00001.parquet")
    column = list(COLUMNS).index("score")
    groups = [file.metadata.row_group(n).column(column).statistics for n in range(file.num_row_groups)]
    assert len(groups) == 10
    assert all(better.min >= worse.max for better, worse in pairwise(groups))
    assert sum(group.max >= 9.0 for group in groups) <= 2, "four of 200 documents have such a score"


def test_characters_that_were_cut_out_are_counted(tmp_path: Path) -> None:
    cut = [rows.with_columns(characters_removed=pl.lit(5, pl.Int64)) for rows in batches()]
    info = write_release(tmp_path / "r", cut, facts())
    assert info.manifest["characters_removed"] == 35
    assert "35 characters were cut out" in (tmp_path / "r/README.md").read_text()
    assert pl.read_parquet(tmp_path / "r/data/*.parquet").columns == list(COLUMNS)


def test_the_card_shows_how_tokens_are_loaded_and_that_works(tmp_path: Path) -> None:
    tokenizer = small_tokenizer()
    info = write_release(tmp_path / "r", batches(), facts(formats=["tokenized"], file_bytes=1), tokenizer)
    (code,) = re.findall(r"```python\n(.*?)```", (tmp_path / "r/README.md").read_text(), re.DOTALL)
    code = code.replace("<this folder>", str(tmp_path / "r")).replace("length = 2048", "length = 32")
    seen: list[tuple[np.ndarray, pl.DataFrame]] = []
    lines = [*code.rstrip().split("\n"), "    seen.append((sequences, documents))"]
    exec("\n".join(lines), {"seen": seen})
    assert len(seen) == 2
    for sequences, documents in seen:
        assert sequences.shape == (documents["tokens"].sum() // 32, 32)
        first = documents.row(0, named=True)
        assert sequences.reshape(-1)[first["tokens"] - 1] == tokenizer.eos
    assert sum(documents["tokens"].sum() for _, documents in seen) == info.manifest["tokenized"]["tokens"]
