"""Which documents a control and a candidate are annealed on."""

import hashlib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.annealing.mixture import MixtureError, build_mixture, held_out, training_tokens
from datashop_assets.project import AnnealSettings


def frame(texts: list[str]) -> pl.DataFrame:
    shas = [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts]
    ids = [f"d{index}" for index in range(len(texts))]
    return pl.DataFrame(
        {"id": ids, "text": texts, "text_sha": shas}, schema=dict.fromkeys(("id", "text", "text_sha"), pl.String)
    )


def words(text: str) -> int:
    return len(text.split()) + 1


def corpus(count: int, kind: str = "page") -> pl.DataFrame:
    return frame([f"{kind} {number} " + "word " * (number % 7 + 3) for number in range(count)])


SETTINGS = AnnealSettings(tokens=1000, sequence_length=100, filtered_share=0.3)


def share(mixture_documents: pl.DataFrame, part: str) -> int:
    return int(mixture_documents.filter(pl.col("part") == part)["tokens"].sum())


def test_control_and_candidate_use_the_same_number_of_tokens_and_the_asked_share_is_filtered():
    control = build_mixture(corpus(400), None, SETTINGS, 0.1, words)
    candidate = build_mixture(corpus(400), corpus(400, "lesson"), SETTINGS, 0.1, words)
    assert control.documents["tokens"].sum() == candidate.documents["tokens"].sum() == 1000
    assert share(candidate.documents, "filtered") == 300
    assert control.tokens == {"base": 1000}
    assert candidate.tokens == {"base": 700, "filtered": 300}


def test_the_candidates_base_documents_are_among_the_controls():
    control = build_mixture(corpus(400), None, SETTINGS, 0.1, words)
    candidate = build_mixture(corpus(400), corpus(400, "lesson"), SETTINGS, 0.1, words)
    shared = candidate.documents.filter(pl.col("part") == "base")["text_sha"].to_list()
    assert set(shared) <= set(control.documents["text_sha"])
    # and they come in the same order, so that the runs differ in the filtered share alone
    assert [sha for sha in control.documents["text_sha"] if sha in set(shared)] == shared


def test_filtered_documents_are_spread_over_the_run():
    candidate = build_mixture(corpus(400), corpus(400, "lesson"), SETTINGS, 0.1, words)
    parts = candidate.documents["part"].to_list()
    half = len(parts) // 2
    assert "filtered" in parts[:half]
    assert "filtered" in parts[half:]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    part=st.floats(0.05, 0.9),
    size=st.integers(30, 120),
    tokens=st.integers(50, 3000),
    filtered_share=st.floats(0.01, 1.0),
)
def test_held_out_texts_never_enter_and_tokens_are_exact(
    seed: int, part: float, size: int, tokens: int, filtered_share: float
):
    chosen = AnnealSettings(tokens=tokens, sequence_length=64, seed=seed, filtered_share=filtered_share)
    base, filtered = corpus(size), corpus(size, "lesson")
    for texts in (base, filtered):
        if all(held_out(sha, part) for sha in texts["text_sha"]):
            return
    for mixture in (
        build_mixture(base, None, chosen, part, words),
        build_mixture(base, filtered, chosen, part, words),
    ):
        assert not any(held_out(sha, part) for sha in mixture.documents["text_sha"])
        assert mixture.documents["tokens"].sum() == training_tokens(chosen) >= tokens


def test_a_text_that_is_held_out_stays_so_when_the_share_grows_and_the_share_is_kept():
    shas = corpus(3000)["text_sha"].to_list()
    small, large = ({sha for sha in shas if held_out(sha, part)} for part in (0.1, 0.2))
    assert small < large
    assert len(small) / len(shas) == pytest.approx(0.1, abs=0.02)


def test_too_little_text_is_repeated_and_the_number_of_epochs_is_told():
    mixture = build_mixture(corpus(10), corpus(1000, "lesson"), SETTINGS, 0.01, words)
    passes = mixture.documents.filter(pl.col("part") == "base")["epoch"].max()
    assert mixture.epochs["base"] > 5
    assert passes == int(mixture.epochs["base"])
    assert mixture.epochs["filtered"] == 1


def test_equal_texts_count_once():
    twice = pl.concat([corpus(100), corpus(100)])
    mixture = build_mixture(twice, None, AnnealSettings(tokens=300, sequence_length=100), 0.1, words)
    assert mixture.documents["text_sha"].is_unique().all()


def test_the_content_id_is_the_same_for_the_same_choice_and_another_for_another_seed():
    shuffled = corpus(400).sample(fraction=1, shuffle=True, seed=3)
    first = build_mixture(corpus(400), None, SETTINGS, 0.1, words)
    assert build_mixture(shuffled, None, SETTINGS, 0.1, words).id == first.id
    assert build_mixture(corpus(400), None, SETTINGS.model_copy(update={"seed": 1}), 0.1, words).id != first.id


@pytest.mark.parametrize(
    ("base", "filtered", "names"),
    [
        pytest.param(frame([]), None, "base", id="no documents at all"),
        pytest.param(corpus(100), frame([]), "filtered.*cutoff", id="nothing was kept"),
    ],
)
def test_a_part_without_text_is_an_error_that_says_what_to_change(
    base: pl.DataFrame, filtered: pl.DataFrame | None, names: str
):
    with pytest.raises(MixtureError, match=names):
        build_mixture(base, filtered, SETTINGS, 0.1, words)
