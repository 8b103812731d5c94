"""The documents on which held-out perplexity is measured."""

import hashlib

import polars as pl
import pytest

from datashop_assets.annealing.mixture import build_mixture, held_out
from datashop_assets.evaluation.slices import SliceError, build_slices
from datashop_assets.project import AnnealSettings, EvaluationSettings


def documents(count: int) -> pl.DataFrame:
    texts = [f"document {number} about things" for number in range(count)]
    return pl.DataFrame(
        {
            "id": [str(number) for number in range(count)],
            "text": texts,
            "text_sha": [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts],
            "source": [("book", "licence", "web")[number % 3] for number in range(count)],
        }
    )


SETTINGS = EvaluationSettings(slices={"good": ("book",), "bad": ("licence",)}, slice_documents=20, held_out_share=0.1)


def test_no_document_of_a_slice_is_ever_annealed_on():
    corpus = documents(1500)
    slices = build_slices(corpus, SETTINGS)
    everything = AnnealSettings(tokens=30_000, sequence_length=100)
    mixture = build_mixture(corpus, corpus, everything, SETTINGS.held_out_share, lambda text: len(text.split()))
    assert slices.height == 40
    assert not set(slices["id"]) & set(mixture.documents["text_sha"])


def test_a_slice_has_only_its_sources_and_only_held_out_texts_cut_as_asked():
    corpus = documents(1500)
    slices = build_slices(corpus, SETTINGS, cut=lambda text: text[:10])
    sources = dict(corpus.select("text_sha", "source").iter_rows())
    assert {(row["slice"], sources[row["id"]]) for row in slices.to_dicts()} == {("good", "book"), ("bad", "licence")}
    assert all(held_out(sha, 0.1) for sha in slices["id"])
    assert set(slices["text"].str.len_chars()) == {10}


def test_new_documents_replace_few_of_a_slice():
    before, after = (set(build_slices(documents(count), SETTINGS)["id"]) for count in (1500, 1650))
    assert len(before & after) >= 30


def test_a_slice_without_documents_names_itself_and_the_sources_there_are():
    wrong = SETTINGS.model_copy(update={"slices": {"good": ("encyclopaedia",)}})
    with pytest.raises(SliceError, match=r"'good'.*encyclopaedia.*'book', 'licence', 'web'"):
        build_slices(documents(300), wrong)


def test_no_slices_are_no_documents():
    assert build_slices(documents(30), EvaluationSettings()).is_empty()
