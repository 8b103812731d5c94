"""RDS+: pooling equals a loop, likeness is a cosine, and turns are taken as the paper says."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from datashop_assets.selection.budget import Budget, select
from datashop_assets.selection.pool import SelectionError
from datashop_assets.selection.rds import RdsPlus, take_turns
from datashop_assets_tests.selection.language_model_pools import TinyModel, chosen, permuted, pool_of, some_texts

ALL = Budget(rows=1_000_000)


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    return TinyModel(tmp_path_factory.mktemp("tiny"))


def pooled_by_a_loop(lm: TinyModel, text: str, max_tokens: int) -> NDArray[np.float64]:
    """The text alone through the whole model; token i of n counts i times."""
    import torch

    ids = torch.tensor([lm.tokenizer(text)["input_ids"][:max_tokens]])
    with torch.inference_mode():
        states = lm.model(input_ids=ids, output_hidden_states=True).hidden_states[-1][0].double().numpy()
    total, weights = np.zeros(states.shape[1]), 0
    for position, state in enumerate(states, start=1):
        total += position * state
        weights += position
    return total / weights / np.linalg.norm(total / weights)


@pytest.mark.parametrize("max_tokens", [1024, 9], ids=["whole texts", "texts cut at a bound"])
def test_values_are_cosines_of_texts_pooled_one_by_one(lm: TinyModel, max_tokens: int) -> None:
    texts, example = some_texts(25), "boats wait for the tide"
    found = RdsPlus(lm, {"harbour": [example]}, max_tokens).rank(pool_of(texts), 0, ALL)
    wanted = pooled_by_a_loop(lm, example, max_tokens)
    likeness = np.array([pooled_by_a_loop(lm, text, max_tokens) @ wanted for text in texts])
    assert np.allclose(found.values, likeness[found.order], atol=1e-5)
    assert (np.diff(found.values) <= 0).all()
    assert set(found.reasons) == {"task:harbour"}


def test_the_examples_of_one_task_take_turns(lm: TinyModel) -> None:
    texts, examples = some_texts(12), some_texts(3, seed=5)
    found = RdsPlus(lm, {"only": examples}).rank(pool_of(texts), 0, ALL)
    shown = [pooled_by_a_loop(lm, text, 1024) for text in examples]
    likeness = np.array([[pooled_by_a_loop(lm, text, 1024) @ vector for vector in shown] for text in texts])
    left = set(range(12))
    for turn, row in enumerate(found.order):
        best = max(left, key=lambda candidate: likeness[candidate, turn % 3])
        assert row == best
        left.remove(best)


def test_of_several_tasks_each_takes_what_is_nearest_to_any_of_its_examples(lm: TinyModel) -> None:
    texts, tasks = some_texts(10), {"a": some_texts(3, seed=5), "b": some_texts(2, seed=6)}
    found = RdsPlus(lm, tasks).rank(pool_of(texts), 0, ALL)
    assert found.reasons == ["task:a", "task:b"] * 5
    vectors = {name: [pooled_by_a_loop(lm, text, 1024) for text in shown] for name, shown in tasks.items()}
    for row, reason, value in zip(found.order, found.reasons, found.values, strict=True):
        nearest = max(pooled_by_a_loop(lm, texts[row], 1024) @ v for v in vectors[reason.removeprefix("task:")])
        assert value == pytest.approx(nearest, abs=1e-5)


@given(data=st.data(), rows=st.integers(1, 25), takers=st.integers(1, 5))
def test_turns_equal_a_search_over_all_that_is_left(data: st.DataObject, rows: int, takers: int) -> None:
    levels = st.lists(st.integers(0, 6), min_size=rows * takers, max_size=rows * takers)  # with many ties
    liked = np.array(data.draw(levels), np.float32).reshape(rows, takers)
    draws = np.random.default_rng(data.draw(st.integers(0, 99))).random(rows)
    tokens = np.array(data.draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows)))
    budget = data.draw(st.sampled_from([Budget(rows=4), Budget(tokens=12), ALL]))
    order, takers_ = take_turns(liked, np.arange(rows), draws, tokens, budget)
    left, spent, expected = set(range(rows)), 0, []
    while left and not budget.spent(len(expected), spent):
        taker = len(expected) % takers
        best = max(left, key=lambda row: (liked[row, taker], draws[row]))
        expected.append((best, taker))
        left.remove(best)
        spent += tokens[best]
    assert list(zip(order, takers_, strict=True)) == expected


@pytest.mark.parametrize("budget", [Budget(rows=5), Budget(tokens=60)], ids=["rows", "tokens"])
def test_a_ranking_that_ends_with_the_budget_is_what_the_whole_one_is_cut_to(lm: TinyModel, budget: Budget) -> None:
    pool = pool_of(some_texts(30))
    strategy = RdsPlus(lm, {"only": some_texts(2, seed=9)})
    short, whole = select(strategy, pool, 3, budget), strategy.rank(pool, 3, ALL)
    assert 0 < len(short) < 30
    assert list(short.order) == list(whole.order[: len(short)])
    assert len(short) + sum(short.left_out.values()) == 30


def test_blank_texts_are_left_out_and_short_ones_are_not(lm: TinyModel) -> None:
    found = RdsPlus(lm, {"only": ["the sea"]}).rank(pool_of(["", "  ", "a", "the sea"]), 0, ALL)
    assert list(found.order) == [3, 2]
    assert found.values[0] == pytest.approx(1, abs=1e-5)
    assert found.left_out == {"empty_document": 2}


@pytest.mark.parametrize("texts", [[], ["the sea falls"], ["", ""]], ids=["no document", "one document", "all empty"])
def test_tiny_pools_of_likeness(lm: TinyModel, texts: list[str]) -> None:
    found = RdsPlus(lm, {"only": ["the sea"]}).rank(pool_of(texts), 0, ALL)
    assert len(found) == sum(bool(text) for text in texts)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [({}, "no tasks"), ({"a": []}, r"\['a'\]"), ({"a": ["the sea"], "b": [" "]}, r"\['b'\]")],
    ids=["no task", "no example", "a blank example"],
)
def test_tasks_that_show_nothing_are_refused(lm: TinyModel, tasks: dict[str, list[str]], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        RdsPlus(lm, tasks).rank(pool_of(["the sea"]), 0, ALL)


def test_a_model_that_yields_no_numbers_is_named(tmp_path: Path) -> None:
    broken = TinyModel(tmp_path)
    broken.model.model.norm.weight.data.fill_(float("nan"))
    with pytest.raises(SelectionError, match="not finite"):
        RdsPlus(broken, {"only": ["the sea"]}).rank(pool_of(some_texts(3)), 0, ALL)


def test_the_rows_order_decides_no_likeness_and_the_seed_breaks_ties(lm: TinyModel) -> None:
    texts = [*some_texts(20), *["the same text twice"] * 6]
    pool, strategy = pool_of(texts), RdsPlus(lm, {"only": ["boats wait"]})
    other = permuted(pool, list(np.random.default_rng(1).permutation(len(texts))))
    first, again, seeded = (strategy.rank(p, s, ALL) for p, s in ((pool, 7), (other, 7), (pool, 8)))
    assert chosen(pool, first.order) == chosen(other, again.order)
    assert chosen(pool, first.order) != chosen(pool, seeded.order)
    assert np.array_equal(first.values, seeded.values)
