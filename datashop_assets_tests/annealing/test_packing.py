"""Documents to token sequences."""

from pathlib import Path

import polars as pl
import pytest

from datashop_assets.annealing.mixture import MIXTURE_SCHEMA
from datashop_assets.annealing.packing import DocumentEncoder, pack
from datashop_assets_tests.tiny_models import make_tiny_llama

pytestmark = pytest.mark.models


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llama(tmp_path_factory.mktemp("tiny"))


def rows(*documents: tuple[str, int]) -> pl.DataFrame:
    content = [
        {"id": str(index), "text": text, "text_sha": str(index), "part": "base", "epoch": 0, "tokens": tokens}
        for index, (text, tokens) in enumerate(documents)
    ]
    return pl.DataFrame(content, schema=MIXTURE_SCHEMA)


def test_every_document_ends_with_eos_and_sequences_are_full(model: Path):
    encoder = DocumentEncoder(model, 512)
    first, second = encoder.encode("the river"), encoder.encode("the sea and more of it")
    eos = first[-1]
    length = (len(first) + len(second)) // 2
    cut = 2 * length - len(first)
    packed = pack(rows(("the river", len(first)), ("the sea and more of it", cut)), encoder, length)
    assert packed.shape == (2, length)
    assert packed.flatten().tolist() == first + second[:cut]
    assert packed.flatten()[len(first) - 1] == eos


def test_a_long_document_gives_at_most_the_limit_and_still_ends_with_eos(model: Path):
    encoder = DocumentEncoder(model, document_tokens=20)
    tokens = encoder.encode("the water of the river " * 100)
    assert len(tokens) == encoder.count("the water of the river " * 100) == 20
    assert tokens[-1] == encoder.encode("")[0]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("the water of the river " * 50, id="longer than the limit"),
        pytest.param("short", id="shorter than the limit"),
        pytest.param("тире — and 漢字 " * 30, id="characters of several bytes"),
        pytest.param("", id="empty"),
    ],
)
def test_the_cut_text_is_a_start_of_the_document_with_the_same_tokens(model: Path, text: str):
    encoder = DocumentEncoder(model, document_tokens=20)
    cut = encoder.cut(text)
    assert text.startswith(cut)
    assert encoder.count(text) - 2 <= encoder.count(cut) <= 22


def test_an_eos_written_in_a_text_is_text(model: Path):
    encoder = DocumentEncoder(model, 512)
    tokens = encoder.encode("before <eos> after")
    assert tokens.index(encoder.encode("")[0]) == len(tokens) - 1


@pytest.mark.parametrize(
    ("documents", "fault"),
    [
        pytest.param([("the river", 500)], "another tokenizer", id="the mixture was counted otherwise"),
        pytest.param([("the river and the sea", 3)], "whole sequences", id="tokens left over"),
        pytest.param([], "whole sequences", id="no documents"),
    ],
)
def test_a_mixture_that_does_not_fit_is_refused(model: Path, documents: list[tuple[str, int]], fault: str):
    with pytest.raises(ValueError, match=fault):
        pack(rows(*documents), DocumentEncoder(model, 512), 8)
