"""Strategies that read documents with a language model read a pool once, for all budgets and directions."""

from collections.abc import Callable
from pathlib import Path

import pytest

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.compare import compare
from datashop_assets.selection.less import Less
from datashop_assets.selection.lm_lora import LoraSettings
from datashop_assets.selection.lm_texts import LanguageModel
from datashop_assets.selection.perplexity import Perplexity
from datashop_assets.selection.pool import Strategy
from datashop_assets.selection.rds import RdsPlus
from datashop_assets_tests.selection.language_model_pools import TinyModel, pool_of, some_texts

TASKS = {"first": some_texts(2, seed=5), "second": some_texts(2, seed=6)}
SEEDS = [0, 1]


@pytest.fixture
def lm(tmp_path: Path) -> TinyModel:
    return TinyModel(tmp_path)


def less(lm: LanguageModel) -> Less:
    return Less(lm, TASKS, LoraSettings(least_documents=4, epochs=1), dimension=16, max_tokens=16)


@pytest.mark.parametrize(
    ("strategies", "readings"),
    [
        pytest.param(lambda lm: [Perplexity(lm, "lowest", name="a"), Perplexity(lm, "highest", name="b")], 1, id="nll"),
        pytest.param(lambda lm: [RdsPlus(lm, TASKS)], 1, id="rds"),
        pytest.param(lambda lm: [less(lm)], len(SEEDS), id="less, whose warm-up is drawn by the seed"),
    ],
)
def test_a_pool_is_read_once(
    lm: TinyModel, strategies: Callable[[LanguageModel], list[Strategy]], readings: int
) -> None:
    pool = pool_of(some_texts(12))
    made = compare(pool, strategies(lm), [Budget(rows=3), Budget(rows=6)], SEEDS)
    assert lm.asked == readings
    assert set(made.selections["rows"]) == {3, 6}


def test_what_was_read_for_other_tasks_is_not_used(lm: TinyModel) -> None:
    pool = pool_of(some_texts(12))
    RdsPlus(lm, TASKS).rank(pool, 0, Budget(rows=3))
    RdsPlus(lm, {"first": TASKS["second"]}).rank(pool, 0, Budget(rows=3))
    RdsPlus(lm, TASKS, max_tokens=8).rank(pool, 0, Budget(rows=3))
    assert lm.asked == 3


def test_what_is_left_out_is_counted_alike_every_time(lm: TinyModel) -> None:
    pool = pool_of([*some_texts(5), " "])
    strategy = Perplexity(lm)
    first, second = (strategy.rank(pool, seed, Budget(rows=3)) for seed in SEEDS)
    assert first.left_out == second.left_out
    assert sum(first.left_out.values()) == 1
