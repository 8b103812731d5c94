"""Token files hold what the tokenizer gives, and trainers find the documents in them."""

import struct
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from datashop_assets.filtering.token_files import token_file
from datashop_assets_tests.filtering.tokenizers_for_tests import small_tokenizer

TEXTS = ["one text", "", "</s> is text here, not an end", "é😀\u2028\x00"]
ROWS = pl.DataFrame({"shard": ["a", "a", "b", "b"], "id": ["1", "2", "1", "3"], "text": TEXTS})


def read_index(path: Path) -> tuple[type, np.ndarray, np.ndarray, np.ndarray]:
    """As Megatron-LM's reader does: type, tokens of each sequence, byte where it starts, sequences of documents."""
    content = path.read_bytes()
    assert content[:9] == b"MMIDIDX\x00\x00"
    version, code, sequences, documents = struct.unpack("<QBQQ", content[9:34])
    assert version == 1
    lengths = np.frombuffer(content, np.int32, sequences, 34)
    starts = np.frombuffer(content, np.int64, sequences, 34 + lengths.nbytes)
    bounds = np.frombuffer(content, np.int64, documents, 34 + lengths.nbytes + starts.nbytes)
    assert len(content) == 34 + lengths.nbytes + starts.nbytes + bounds.nbytes
    return {8: np.uint16, 4: np.int32}[code], lengths, starts, bounds


@pytest.mark.parametrize(
    ("extra", "dtype"),
    [pytest.param(0, np.uint16, id="two bytes a token"), pytest.param(66_000, np.int32, id="a large vocabulary")],
)
def test_every_document_is_found_by_each_index_and_ends_with_eos(tmp_path: Path, extra: int, dtype: type) -> None:
    tokenizer = small_tokenizer(extra)
    with token_file(tmp_path / "00000", tokenizer) as write:
        made = write(ROWS[:3]) + write(ROWS[3:])
    found, lengths, starts, bounds = read_index(tmp_path / "00000.idx")
    tokens = np.memmap(tmp_path / "00000.bin", dtype=dtype, mode="r")
    places = pl.read_parquet(tmp_path / "00000.documents.parquet")
    assert found is dtype
    assert made == len(tokens) == lengths.sum()
    assert bounds.tolist() == [0, 1, 2, 3, 4]
    assert (starts // tokens.itemsize).tolist() == places["start"].to_list()
    assert places.select("shard", "id", "tokens").rows() == [
        (*row, length) for row, length in zip(ROWS.select("shard", "id").rows(), lengths.tolist(), strict=True)
    ]
    for text, start, length in zip(TEXTS, places["start"], lengths, strict=True):
        ids = tokens[start : start + length].tolist()
        assert ids[-1] == tokenizer.eos
        assert tokenizer.eos not in ids[:-1], "what stands in a text is text"
        assert tokenizer.tokenizer.decode(ids[:-1]) == text
