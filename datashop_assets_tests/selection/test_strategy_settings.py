"""Strategies by their settings: every kind, its options, and its name."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from datashop_assets.project import Project
from datashop_assets.selection.deita import Deita
from datashop_assets.selection.ds2 import Ds2
from datashop_assets.selection.less import Less
from datashop_assets.selection.perplexity import Perplexity
from datashop_assets.selection.strategies import build_strategy
from datashop_assets.selection_settings import STRATEGIES, StrategySettings

READ = TypeAdapter[Any](StrategySettings)
TASKS = {"arithmetic": ["2 + 2 = 4"]}


def no_model(_: str | None) -> tuple[Any, Any]:
    raise AssertionError("no model is loaded before a strategy ranks")


def test_every_project_has_the_strategies_that_need_no_examples() -> None:
    for name, settings in STRATEGIES.items():
        assert build_strategy(name, settings, no_model).name == name


@pytest.mark.parametrize(
    ("settings", "built"),
    [
        pytest.param({"kind": "ds2", "curated": False}, Ds2(False, "mine"), id="ds2 without curation"),
        pytest.param({"kind": "deita", "least_distance": 0.3}, Deita(0.3, False, "mine"), id="deita"),
    ],
)
def test_options_reach_the_strategy(settings: dict[str, Any], built: object) -> None:
    assert build_strategy("mine", READ.validate_python(settings), no_model) == built


def test_strategies_that_read_ask_for_their_own_model_when_they_rank() -> None:
    asked: list[str | None] = []

    def models(reference: str | None) -> tuple[Any, Any]:
        asked.append(reference)
        return None, None

    settings = READ.validate_python({"kind": "perplexity", "model": "other", "direction": "lowest"})
    strategy = build_strategy("mine", settings, models)
    assert isinstance(strategy, Perplexity)
    assert strategy.direction == "lowest"
    assert asked == []
    strategy.lm()
    assert asked == ["other"]


def test_less_keeps_the_paper_s_proportion_of_alpha_to_rank() -> None:
    less = build_strategy("mine", READ.validate_python({"kind": "less", "tasks": TASKS, "rank": 16}), no_model)
    assert isinstance(less, Less)
    assert (less.lora.rank, less.lora.alpha) == (16, 64)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        pytest.param({"kind": "rds"}, "kind", id="an unknown kind"),
        pytest.param({"kind": "less"}, "tasks", id="without examples"),
        pytest.param({"kind": "rds_plus", "tasks": {}}, "tasks", id="no tasks"),
        pytest.param({"kind": "ds2", "k": 3}, "k", id="an option of another kind"),
    ],
)
def test_settings_that_fit_no_strategy_are_refused(settings: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        READ.validate_python(settings)


def project(**lens: Any) -> dict[str, Any]:
    return {
        "name": "p",
        "landings": [{"dataset": "d", "url": "x"}],
        "raters": {"r": {"backend": "openai", "model": "m", "base_url": "http://x/v1"}},
        "lenses": {"l": {"rater": "r", "selection": lens}},
    }


def test_a_project_s_own_strategies_have_names_and_may_replace_the_others() -> None:
    content = project(strategy="mine") | {"strategies": {"mine": {"kind": "random"}, "deita": {"kind": "full"}}}
    made = Project.model_validate(content)
    assert made.all_strategies["deita"].kind == "full"
    assert made.all_strategies["mine"].kind == "random"
    assert made.all_strategies["ds2"].kind == "ds2"


@pytest.mark.parametrize("wrong", [{"strategy": "nonsense"}, {"compare": ["ds2", "nonsense"]}])
def test_a_lens_cannot_select_by_a_strategy_that_is_not_there(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"selects by \['nonsense'\]; known strategies"):
        Project.model_validate(project(**wrong))


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"compare": []}, id="nothing to compare"),
        pytest.param({"compare": ["ds2", "ds2"]}, id="a strategy twice"),
        pytest.param({"compare_rows": [0]}, id="a budget of nothing"),
        pytest.param({"compare_seeds": [1, 1]}, id="a seed twice"),
        pytest.param({"rows": 5, "tokens": 5}, id="two budgets"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused_when_the_project_is_read(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Project.model_validate(project(**wrong))
