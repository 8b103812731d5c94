"""Where one asset of a lens simply follows another: declarative conditions, gated by the blocking checks.

What belongs here: the conditions, the assets that have them, and the sensor that evaluates them. What does not:
anything over shards. A condition loses an update that lands in the tick after its own request, never fires where one
of 100,000 upstream cells is missing, and takes half a minute a tick there: `sensors.py` reconciles those instead.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Any

import dagster as dg

from datashop_assets.automation.pauses import Paused
from datashop_assets.automation_settings import AutomationSettings
from datashop_assets.graph import Graph
from datashop_assets.seams import Lake

SENSOR = "lens_conditions"
SECONDS = 60


@dataclass(frozen=True)
class OfLenses(dg.AutomationCondition[dg.AssetKey]):
    """Of these lenses' partitions alone, without what is paused now. Its name, by which Dagster remembers what
    it saw, does not name them: a lens that was paused for a while is still owed what happened meanwhile."""

    lenses: tuple[str, ...]
    settings: AutomationSettings
    lake: Callable[[], Lake] = field(compare=False)

    @property
    def description(self) -> str:
        return "the project file lets automation do this for the lens, and nobody paused it"

    def evaluate(self, context: dg.AutomationContext[dg.AssetKey]) -> dg.AutomationResult[dg.AssetKey]:
        paused = Paused.now(self.lake(), self.settings)
        active = {lens for lens in self.lenses if lens not in paused}
        theirs = context.candidate_subset.compute_intersection_with_partition_keys(active)
        return dg.AutomationResult(context, theirs)


def conditions(graph: Graph, lake: Callable[[], Lake]) -> dict[str, dg.AutomationCondition[Any]]:
    """Asset to condition. `lake` is opened where a condition is evaluated: its table `pauses` says what is paused.

    `promotion` follows a classifier that was trained without it (by hand, or on `auto_train`), once the blocking checks
    passed: a worse one triggers nothing. `classifier` is trained at its lens's time; where no rating came since, that
    finds the same inputs and trains nothing. `eval_report`, which costs an evaluation, follows models that were
    annealed anew only where the project file says `automation.evaluate`.
    """
    automation, lenses = graph.project.automation, graph.score_lenses

    def of(chosen: Iterable[str]) -> OfLenses:
        return OfLenses(tuple(chosen), automation, lake)

    automatic = [lens for lens in lenses if graph.settings(lens).promotion.automatic]
    times = {cron for lens in lenses if (cron := graph.settings(lens).auto_train)}
    found: dict[str, dg.AutomationCondition[Any]] = {"promotion": of(automatic) & _follows()}
    if times:
        due: list[dg.AutomationCondition[Any]] = [
            of(lens for lens in lenses if graph.settings(lens).auto_train == cron)
            & dg.AutomationCondition.cron_tick_passed(cron)
            for cron in sorted(times)
        ]
        any_due: dg.AutomationCondition[Any] = reduce(or_, due)
        found["classifier"] = any_due.since_last_handled() & ~dg.AutomationCondition.in_progress()
    if graph.annealed and automation.evaluate:
        found["eval_report"] = of(lens for lens in lenses if lens in graph.annealed) & _follows()
    return found


def _follows() -> dg.AutomationCondition[Any]:
    """After any update of what it comes after, whole and with all blocking checks passed. What the same run makes
    anyway, as the job that trains and promotes does, is not asked for again."""
    condition = dg.AutomationCondition
    return (
        condition.any_deps_updated().since_last_handled()
        & condition.all_deps_blocking_checks_passed()
        & ~condition.any_deps_missing()
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
    )


def with_conditions(graph: Graph, assets: Sequence[Any], lake: Callable[[], Lake]) -> list[Any]:
    """The assets, those of `conditions` with their condition."""
    if not graph.score_lenses:
        return list(assets)
    given = conditions(graph, lake)
    return [_conditioned(asset, given) if isinstance(asset, dg.AssetsDefinition) else asset for asset in assets]


def _conditioned(asset: dg.AssetsDefinition, given: Mapping[str, dg.AutomationCondition[Any]]) -> dg.AssetsDefinition:
    if not any(key.to_user_string() in given for key in asset.keys):
        return asset
    return asset.map_asset_specs(
        lambda spec: spec.replace_attributes(automation_condition=given.get(spec.key.to_user_string()))
    )


def condition_sensors(graph: Graph, lake: Callable[[], Lake]) -> list[dg.SensorDefinition]:
    """The sensor that evaluates the conditions; none where no lens scores."""
    if not graph.score_lenses:
        return []
    return [
        dg.AutomationConditionSensorDefinition(
            SENSOR,
            target=dg.AssetSelection.assets(*sorted(conditions(graph, lake))),
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=SECONDS,
            use_user_code_server=True,  # conditions of our own are evaluated where our code is
            description=(
                "Promotes a classifier that was trained without its promotion, once its blocking checks passed, and "
                "trains where a lens has `auto_train`. Spends on no rater; on evaluations only with "
                "`automation.evaluate`."
            ),
        )
    ]
