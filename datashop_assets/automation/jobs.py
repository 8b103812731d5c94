"""Jobs: named selections of assets, for the launchpad and for the demo.

What belongs here: which assets run together. What does not: when (`sensors.py`).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from datashop_assets.graph import Graph

# All assets of a job share their partitions, so that one run carries one stretch of them.
CORPUS_STEPS: dict[str, tuple[tuple[str, ...], str]] = {
    "parse_and_embed_shards": (("documents", "embeddings"), "Crawl files to documents and their vectors."),
}
# Of a project that deduplicates; each has those of its assets that the project asks for.
DEDUPLICATION_STEPS: dict[str, tuple[tuple[str, ...], str]] = {
    "sign_documents": (("minhashes",), "A MinHash signature of every document, by which near duplicates are found."),
    "deduplicate": (
        ("duplicates", "repeated_paragraphs", "contamination"),
        "Which documents, and which parts of them, are left out whatever their score.",
    ),
}
# Of a project with score lenses, in the order of the flow.
STEPS: dict[str, tuple[tuple[str, ...], str]] = {
    "rate_documents": (("annotations",), "Ask the lens's rater for judgements on a sample of each shard."),
    "report_on_raters": (("rater_report",), "How the lens's raters follow known scores, and agree with each other."),
    "summarise_ratings": (("rating_summary",), "Mean scores, quality classes, and every rating as a file."),
    "curate_annotations": (("curated_annotations",), "Correct the ratings of a lens by those of like documents."),
    "train_and_promote_classifier": (
        ("classifier", "promotion"),
        "Train on all ratings of a lens, check, and promote if the checks pass.",
    ),
    "score_documents": (("scores",), "The promoted classifier's score of every document."),
    "set_cutoff": (("cutoff",), "Decide which scores are kept, over the whole corpus."),
    "filter_documents": (("filtered_documents",), "Apply the cut-off to every document."),
    "select_subset": (("selected_subset",), "Take a subset of a lens's documents by a strategy, within a budget."),
    "compare_selections": (("selection_comparison",), "Several strategies of selection, side by side."),
    "cut_release": (("release",), "Copy the kept documents out, with manifest, checksums and dataset card."),
}
# Of a project with label lenses.
LABEL_STEPS: dict[str, tuple[tuple[str, ...], str]] = {
    "label_documents": (("document_labels",), "Ask the lens's rater for the labels of a sample of each shard."),
    "report_labels": (("label_report",), "How often each label is given, in every dataset."),
}
# Of a project with attributes of either kind.
ATTRIBUTE_STEPS: dict[str, tuple[tuple[str, ...], str]] = {
    "measure_attributes": (("attributes",), "Numbers measured on every document, or made of it elsewhere."),
    "derive_attributes": (("derived_attributes",), "Numbers made of other scores: combinations, levels, functions."),
    "report_attributes": (("attribute_report",), "How attributes and lenses' scores compare."),
}
# Of a project with lenses that ask for a cascade.
CASCADE_STEPS: dict[str, tuple[tuple[str, ...], str]] = {
    "parse_shards": (("documents",), "Crawl files to documents, where a cascade spares the encoder most of them."),
    "calibrate_cascade": (("cascade",), "A cheap stage before the encoder, calibrated to the cut-off in force."),
}
ANNEALING_STEPS: dict[str, tuple[tuple[str, ...], str]] = {
    "anneal_control": (("control_model",), "Anneal the control on the base mixture; all lenses share it."),
    "anneal_and_evaluate_candidate": (
        ("candidate_model", "eval_report"),
        "Anneal a candidate on the release and compare it with the control.",
    ),
}

TARGET_STEPS: dict[str, tuple[tuple[str, ...], str]] = {
    "describe_targets": (("target_description",), "Describe example corpora, for the lens that judges by them."),
}
AUTOMATION_STEPS = {
    "plan_rollout": (("pauses", "rollout_plan"), "What would be asked for now and what it takes; pause and resume."),
    "keep_house": (
        ("compacted_tables", "vacuumed_tables", "cleared_leftovers", "pruned_runs"),
        "Compact and vacuum the tables, take away leftovers and old runs; by default only say what could be.",
    ),
}


def assets_of(job: str) -> tuple[str, ...]:
    """The assets that a job makes."""
    every = (CORPUS_STEPS, DEDUPLICATION_STEPS, STEPS, LABEL_STEPS, ATTRIBUTE_STEPS, CASCADE_STEPS, ANNEALING_STEPS)
    return {name: step for steps in (*every, TARGET_STEPS, AUTOMATION_STEPS) for name, step in steps.items()}[job][0]


def deduplication_steps(graph: Graph) -> dict[str, tuple[tuple[str, ...], str]]:
    """The jobs of the project's deduplication, each with the assets that the project has."""
    present = {
        name: (tuple(asset for asset in assets if asset in graph.deduplication_assets), description)
        for name, (assets, description) in DEDUPLICATION_STEPS.items()
    }
    return {name: step for name, step in present.items() if step[0]}


def attribute_steps(graph: Graph) -> dict[str, tuple[tuple[str, ...], str]]:
    """The jobs of the project's attributes: those whose assets it has."""
    present = {
        "measure_attributes": graph.measured_attributes,
        "derive_attributes": graph.derived_attributes,
        "report_attributes": graph.project.attributes,
    }
    return {name: ATTRIBUTE_STEPS[name] for name, names in present.items() if names}


def anywhere(_: Sequence[str]) -> Mapping[str, Any]:
    """Jobs run where they are launched."""
    return {}


def build_jobs(
    graph: Graph, placed: Callable[[Sequence[str]], Mapping[str, Any]] = anywhere
) -> Sequence[Any]:  # what define_asset_job returns has no public type
    """The jobs of a project: those whose assets it has. `placed` gives where a job of these assets runs, as further
    arguments of define_asset_job."""
    steps = CORPUS_STEPS | deduplication_steps(graph)
    steps |= LABEL_STEPS if graph.label_lenses else {}
    steps |= STEPS if graph.score_lenses else {}
    steps |= attribute_steps(graph)
    steps |= CASCADE_STEPS if graph.cascaded else {}
    steps |= ANNEALING_STEPS if graph.annealed else {}
    steps |= TARGET_STEPS if graph.project.targets else {}
    steps |= AUTOMATION_STEPS
    return [
        dg.define_asset_job(name, dg.AssetSelection.assets(*assets), description=description, **placed(assets))
        for name, (assets, description) in steps.items()
    ]
