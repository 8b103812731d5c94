"""The definitions: a project and a profile in, Dagster's `Definitions` out.

What belongs here: assembly. What does not: any asset, check, job or sensor (they live with their stage and in
`automation/`). Importing this module loads no model library, touches no network and lists no storage.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import dagster as dg

from datashop_assets.annealing.assets import annealing_assets
from datashop_assets.annealing.checks import annealing_checks
from datashop_assets.attributes.assets import attribute_assets
from datashop_assets.attributes.checks import attribute_checks
from datashop_assets.automation.alerts import build_alert_sensors
from datashop_assets.automation.conditions import condition_sensors, with_conditions
from datashop_assets.automation.housekeeping_schedule import housekeeping_schedules
from datashop_assets.automation.jobs import build_jobs
from datashop_assets.automation.lost_pods import pod_sensors
from datashop_assets.automation.report_assets import automation_assets
from datashop_assets.automation.schedules import build_schedules
from datashop_assets.automation.sensors import build_sensors
from datashop_assets.cascade.assets import cascade_assets
from datashop_assets.cascade.checks import cascade_checks
from datashop_assets.classifier.assets import classifier_assets
from datashop_assets.classifier.checks import classifier_checks
from datashop_assets.corpus.assets import corpus_assets
from datashop_assets.corpus.checks import corpus_checks
from datashop_assets.curation.assets import curation_assets
from datashop_assets.curation.checks import curation_checks
from datashop_assets.deduplication.assets import deduplication_assets
from datashop_assets.deduplication.checks import deduplication_checks
from datashop_assets.drift.checks import drift_checks
from datashop_assets.embedding.assets import embedding_assets
from datashop_assets.embedding.checks import embedding_checks
from datashop_assets.evaluation.assets import evaluation_assets
from datashop_assets.evaluation.checks import evaluation_checks
from datashop_assets.filtering.assets import filtering_assets
from datashop_assets.filtering.checks import filtering_checks
from datashop_assets.graph import Graph, load_graph
from datashop_assets.housekeeping.assets import housekeeping_assets
from datashop_assets.rating.assets import rating_assets
from datashop_assets.rating.checks import rating_checks
from datashop_assets.rating.label_assets import label_assets
from datashop_assets.rating.label_checks import label_checks
from datashop_assets.rating.report_assets import report_assets
from datashop_assets.rating.target_assets import target_assets
from datashop_assets.scoring.assets import scoring_assets
from datashop_assets.scoring.checks import scoring_checks
from datashop_assets.selection.assets import selection_assets
from resources.placement import Placement
from resources.profiles import Profile, build_resources, open_lake, profile_from_environment, project_of

Build = Callable[[Graph], Sequence[Any]]
# Each stage's assets and checks.
STAGES: tuple[tuple[Build, Build], ...] = (
    (corpus_assets, corpus_checks),
    (embedding_assets, embedding_checks),
    (deduplication_assets, deduplication_checks),
    (label_assets, label_checks),
    (attribute_assets, attribute_checks),
    (automation_assets, lambda _: []),
    (housekeeping_assets, lambda _: []),
)
# What only lenses with scores have.
SCORE_STAGES: tuple[tuple[Build, Build], ...] = (
    (rating_assets, rating_checks),
    (report_assets, lambda _: []),
    (curation_assets, curation_checks),
    (classifier_assets, classifier_checks),
    (scoring_assets, scoring_checks),
    (filtering_assets, filtering_checks),
    (lambda _: [], drift_checks),
    (cascade_assets, cascade_checks),
    (selection_assets, lambda _: []),
    (annealing_assets, annealing_checks),
    (evaluation_assets, evaluation_checks),
)


def stages_of(graph: Graph) -> list[tuple[Build, Build]]:
    """The builders of assets and checks; a project without score lenses has none of what follows from scores."""
    return [*STAGES, *(SCORE_STAGES if graph.score_lenses else ())]


def build_defs(
    profile: Profile, overrides: dict[str, Any] | None = None, loggers: dict[str, dg.LoggerDefinition] | None = None
) -> dg.Definitions:
    """The definitions of the profile's project; `overrides` replaces resources, e.g. by fakes in a test.

    Raises ProjectError or LensError where the project file or a lens folder cannot be used.
    """
    project = project_of(profile)
    graph = load_graph(project)
    # For what is evaluated without resources; opened by the first that asks.
    lake = cache(partial(open_lake, profile))
    assets = [*(asset for build, _ in stages_of(graph) for asset in build(graph)), *target_assets(graph)]
    checks = [check for _, build in stages_of(graph) for check in build(graph)]
    placement = None if profile.pods is None else Placement(profile.pods, [*assets, *checks])
    jobs = build_jobs(graph, placement.job) if placement else build_jobs(graph)
    alerts = [*build_alert_sensors(graph), *(pod_sensors() if placement else [])]
    return dg.Definitions(
        assets=with_conditions(graph, assets, lake),
        asset_checks=checks,
        jobs=jobs,
        sensors=[*build_sensors(graph, jobs), *condition_sensors(graph, lake), *alerts],
        schedules=[*build_schedules(graph, jobs), *housekeeping_schedules(graph, jobs)],
        resources=build_resources(profile, project) | (overrides or {}),
        executor=placement.executor() if placement else dg.in_process_executor,
        loggers=loggers,
    )


defs = build_defs(profile_from_environment())
