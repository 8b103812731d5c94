"""LESS equals its definition computed document by document, and finds what serves a task."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from datashop_assets.selection.budget import Budget
from datashop_assets.selection.less import Less, warm_up_sequences
from datashop_assets.selection.lm_gradients import adam_direction
from datashop_assets.selection.lm_lora import LoraSettings, adapted, warm_up
from datashop_assets.selection.lm_texts import tokenised
from datashop_assets.selection.pool import Floats, Pool, SelectionError
from datashop_assets_tests.selection.language_model_pools import TinyModel, chosen, permuted, pool_of, some_texts
from datashop_assets_tests.selection.test_lm_gradients import gradient_alone

ALL = Budget(rows=1_000_000)
SETTINGS = LoraSettings(share=0.5, least_documents=4, rank=2, alpha=8, epochs=2, batch_documents=4, learning_rate=0.02)
TASKS = {"harbour": some_texts(3, seed=11), "valley": some_texts(2, seed=12)}


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> TinyModel:
    return TinyModel(tmp_path_factory.mktemp("tiny"))


def less(lm: TinyModel, tasks: Mapping[str, Sequence[str]] = TASKS, **settings: Any) -> Less:
    return Less(lm, tasks, **{"lora": SETTINGS, "max_tokens": 64, **settings})


def influence_by_definition(lm: TinyModel, pool: Pool, seed: int, texts: Sequence[str]) -> Floats:
    """[documents, tasks]: cosines of whole gradients, one document and one example at a time."""
    import torch

    def ids_of(text: str) -> Any:
        return torch.from_numpy(tokenised(lm.tokenizer, [text], 64)[0]).long()

    warming = warm_up_sequences(pool, pool.draws(seed), lm.tokenizer, 64, SETTINGS)
    found = np.zeros((len(texts), len(TASKS)))
    with adapted(lm.model, SETTINGS, seed) as model:
        checkpoints = warm_up(model, warming, SETTINGS, seed)
        rates = sum(checkpoint.learning_rate for checkpoint in checkpoints)
        for checkpoint in checkpoints:
            for task, examples in enumerate(TASKS.values()):
                shown = [gradient_alone(model, checkpoint, ids_of(example)) for example in examples]
                for row, text in enumerate(texts):
                    step = adam_direction(gradient_alone(model, checkpoint, ids_of(text)), checkpoint)
                    cosines = [float(torch.cosine_similarity(step, each, dim=0)) for each in shown]
                    found[row, task] += checkpoint.learning_rate / rates * np.mean(cosines)
    return found


def test_without_projection_it_is_the_definition(lm: TinyModel) -> None:
    texts = some_texts(14)
    pool = pool_of(texts)
    found = less(lm, dimension=10**9).rank(pool, 5, ALL)
    expected = influence_by_definition(lm, pool, 5, texts)
    assert np.allclose(found.values, expected.max(axis=1)[found.order], atol=1e-4)
    assert found.reasons == [f"task:{list(TASKS)[task]}" for task in expected.argmax(axis=1)[found.order]]
    assert (np.diff(found.values) <= 0).all()
    assert np.ptp(found.values) > 0.01


def test_the_projection_changes_influences_little(lm: TinyModel) -> None:
    pool = pool_of(some_texts(30))
    exact, projected = (less(lm, dimension=size).rank(pool, 5, ALL) for size in (10**9, 512))
    by_row = np.zeros((2, 30))
    by_row[0, exact.order], by_row[1, projected.order] = exact.values, projected.values
    assert not np.array_equal(by_row[0], by_row[1])
    assert np.abs(by_row[0] - by_row[1]).max() < 5 / np.sqrt(512)


def test_a_document_that_is_the_example_is_of_more_use_than_others(lm: TinyModel) -> None:
    texts = [*some_texts(15, seed=2), "Answer: A B C D Answer: A B C D"]
    found = less(lm, {"quiz": ["Answer: A B C D Answer: A B C D"]}).rank(pool_of(texts), 0, ALL)
    assert found.order[0] == 15


def test_what_has_no_loss_is_left_out_with_a_reason(lm: TinyModel) -> None:
    pool = pool_of(["", " ", "a", *some_texts(5)])
    found = less(lm).rank(pool, 0, ALL)
    assert sorted(found.order) == [3, 4, 5, 6, 7]
    assert found.left_out == {"empty_document": 2, "too_short": 1}


@pytest.mark.parametrize("texts", [[], ["the sea falls"], ["", ""]], ids=["no document", "one document", "all empty"])
def test_tiny_pools_of_influence(lm: TinyModel, texts: list[str]) -> None:
    found = less(lm).rank(pool_of(texts), 0, ALL)
    assert len(found) == sum(bool(text) for text in texts)
    assert len(found) + sum(found.left_out.values()) == len(texts)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [({}, "no tasks"), ({"a": []}, r"\['a'\]"), ({"a": ["the sea", "x"]}, "too_short")],
    ids=["no task", "no example", "an example without a loss"],
)
def test_tasks_without_a_gradient_are_refused(lm: TinyModel, tasks: dict[str, list[str]], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        less(lm, tasks).rank(pool_of(some_texts(5)), 0, ALL)


def test_the_rows_order_decides_no_influence(lm: TinyModel) -> None:
    texts = [*some_texts(20), *["the same text twice"] * 4]
    pool = pool_of(texts)
    other = permuted(pool, list(np.random.default_rng(1).permutation(len(texts))))
    first, again, seeded = (less(lm).rank(p, s, ALL) for p, s in ((pool, 7), (other, 7), (pool, 8)))
    assert chosen(pool, first.order) == chosen(other, again.order)
    assert np.array_equal(first.values, again.values)
    assert chosen(pool, first.order) != chosen(pool, seeded.order)


@pytest.mark.parametrize(
    ("pool", "documents"), [(3, 3), (100, 32), (10_000, 500)], ids=["all of a few", "at least 32", "a share"]
)
def test_how_much_of_a_pool_warms_up(pool: int, documents: int) -> None:
    assert LoraSettings().documents(pool) == documents


def test_the_warm_up_takes_what_can_be_read_and_depends_on_the_seed(lm: TinyModel) -> None:
    pool = pool_of([*[" " * n for n in range(30)], *some_texts(20)])
    settings = LoraSettings(share=0.2, least_documents=1)
    drawn = [
        [tuple(ids) for ids in warm_up_sequences(pool, pool.draws(seed), lm.tokenizer, 64, settings)]
        for seed in (1, 1, 2)
    ]
    assert len(drawn[0]) == 10
    assert drawn[0] == drawn[1] != drawn[2]
