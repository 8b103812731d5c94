import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from datashop_assets.embedding.embed import EmbeddingError, embeddings_frame, pack, unpack
from resources.encoders import ScriptedEncoder

FLOAT16 = st.floats(-65504, 65504, width=16)


def column(packed: list[bytes]) -> pl.Series:
    return pl.Series("embedding", packed, dtype=pl.Binary)


class OneBadDocument:
    """Gives a vector that is not finite for the text "bad"."""

    id = "one-bad"

    def __init__(self, value: float) -> None:
        self.value = value

    def encode(self, texts):
        return np.array([[self.value if text == "bad" else 1.0, 0.0] for text in texts], np.float32)


@given(arrays(np.float16, st.tuples(st.integers(1, 5), st.integers(1, 8)), elements=FLOAT16))
def test_what_float16_can_hold_comes_back_exactly(vectors):
    assert np.array_equal(unpack(column(pack(vectors.astype(np.float32)))), vectors.astype(np.float32))


def test_storage_moves_a_value_by_at_most_half_a_thousandth():
    vectors = np.random.default_rng(0).normal(size=(50, 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    stored = unpack(column(pack(vectors)))
    assert np.all(np.abs(stored - vectors) <= np.maximum(np.abs(vectors) * 2**-11, 2**-24))


def test_the_bytes_are_little_endian_float16():
    assert pack(np.array([[1.0, -2.0]], np.float32)) == [bytes.fromhex("003c00c0")]


def test_an_empty_column_unpacks_to_no_rows():
    assert unpack(column([])).shape == (0, 0)


@pytest.mark.parametrize(
    ("values", "said"),
    [([b"\0\0", None], "1 of 2 embeddings are null"), ([b"\0\0", b"\0\0\0\0"], "differ in size")],
    ids=["a null", "two dimensions"],
)
def test_a_column_that_cannot_be_a_matrix_is_refused(values, said):
    with pytest.raises(EmbeddingError, match=said):
        unpack(pl.Series("embedding", values, dtype=pl.Binary))


def test_each_document_gets_its_own_vector_in_order():
    documents = pl.DataFrame({"id": ["b", "a"], "text": ["red apple", "green pear"]})
    frame = embeddings_frame(documents, ScriptedEncoder(16))
    assert frame["id"].to_list() == ["b", "a"]
    alone = embeddings_frame(documents.filter(pl.col("id") == "a"), ScriptedEncoder(16))
    assert frame["embedding"][1] == alone["embedding"][0]


def test_a_cell_without_documents_gives_a_frame_without_rows():
    frame = embeddings_frame(pl.DataFrame(schema={"id": pl.String, "text": pl.String}), ScriptedEncoder(16))
    assert frame.height == 0
    assert frame.schema == {"id": pl.String, "embedding": pl.Binary}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 70_000.0], ids=["nan", "inf", "-inf", "beyond float16"])
def test_a_vector_that_cannot_be_stored_is_refused_and_its_document_named(value):
    documents = pl.DataFrame({"id": ["fine", "culprit"], "text": ["good", "bad"]})
    with pytest.raises(EmbeddingError, match="culprit") as refusal:
        embeddings_frame(documents, OneBadDocument(value))
    assert "fine" not in str(refusal.value)
