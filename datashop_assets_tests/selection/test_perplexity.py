"""Perplexities equal those of one text at a time, and the strategy orders by them from the end that is asked for."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.perplexity import Perplexity
from datashop_assets.selection.pool import SelectionError
from datashop_assets_tests.selection.language_model_pools import TinyModel, chosen, permuted, pool_of, some_texts

ALL = Budget(rows=1_000_000)


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    return TinyModel(tmp_path_factory.mktemp("tiny"))


def one_at_a_time(lm: TinyModel, text: str, max_tokens: int) -> float:
    """exp of the loss that transformers itself computes for the text alone."""
    import torch

    ids = torch.tensor([lm.tokenizer(text)["input_ids"][:max_tokens]])
    with torch.inference_mode():
        return float(np.exp(lm.model(input_ids=ids, labels=ids).loss.double()))


@pytest.mark.parametrize("max_tokens", [1024, 12, 2], ids=["whole texts", "texts cut at a bound", "two tokens each"])
def test_batched_perplexities_are_those_of_each_text_alone(lm: TinyModel, max_tokens: int) -> None:
    texts = some_texts(30)
    found = Perplexity(lm, "lowest", max_tokens).rank(pool_of(texts), 0, ALL)
    alone = [one_at_a_time(lm, texts[row], max_tokens) for row in found.order]
    assert len(found) == 30
    assert np.allclose(found.values, alone, rtol=1e-4)


@pytest.mark.parametrize("direction", ["lowest", "highest", "middle"])
def test_the_direction_says_which_end_comes_first(
    lm: TinyModel, direction: Literal["lowest", "highest", "middle"]
) -> None:
    texts = some_texts(21)
    found = Perplexity(lm, direction).rank(pool_of(texts), 0, ALL)
    logs = np.log(found.values)
    key = {"lowest": logs, "highest": -logs, "middle": abs(logs - np.median(logs))}[direction]
    assert (np.diff(key) >= 0).all()
    assert set(found.reasons) == {f"{direction}_perplexity"}


def test_what_a_model_cannot_judge_is_left_out_with_a_reason(lm: TinyModel) -> None:
    pool = pool_of(["", " \n\t ", "a", "the sea", "the river and the sea"])
    found = Perplexity(lm).rank(pool, 0, ALL)
    assert sorted(found.order) == [3, 4]
    assert found.left_out == {"empty_document": 2, "too_short": 1}


def test_a_model_that_yields_no_numbers_leaves_all_out(tmp_path: Path) -> None:
    broken = TinyModel(tmp_path)
    broken.model.model.norm.weight.data.fill_(float("nan"))
    found = Perplexity(broken).rank(pool_of(some_texts(3)), 0, ALL)
    assert not len(found)
    assert found.left_out == {"not_finite": 3}


@pytest.mark.parametrize("texts", [[], ["the sea falls"], ["", ""]], ids=["no document", "one document", "all empty"])
def test_tiny_pools(lm: TinyModel, texts: list[str]) -> None:
    found = Perplexity(lm).rank(pool_of(texts), 0, ALL)
    assert len(found) == sum(bool(text) for text in texts)


def test_the_order_of_the_rows_decides_nothing(lm: TinyModel) -> None:
    texts = [*some_texts(40), *["the same text twice"] * 5]
    pool = pool_of(texts)
    other = permuted(pool, list(np.random.default_rng(1).permutation(len(texts))))
    ranked, again = (Perplexity(lm, "highest").rank(each, 7, ALL) for each in (pool, other))
    assert chosen(pool, ranked.order) == chosen(other, again.order)
    assert np.array_equal(ranked.values, again.values)


def test_ties_are_broken_by_the_seed(lm: TinyModel) -> None:
    pool = pool_of(["the same text"] * 12)
    orders = [tuple(Perplexity(lm).rank(pool, seed, ALL).order) for seed in (1, 1, 2)]
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]


def test_a_bound_beyond_the_models_positions_is_refused(lm: TinyModel) -> None:
    with pytest.raises(SelectionError, match=r"max_tokens is 4096.*1024"):
        Perplexity(lm, max_tokens=4096).rank(pool_of(["the sea"]), 0, ALL)
