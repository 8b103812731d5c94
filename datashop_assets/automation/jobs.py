"""Jobs: named selections of assets, for the launchpad and for the demo.

What belongs here: which assets run together. What does not: when (`sensors.py`).
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from datashop_assets.graph import Graph

# In the order of the flow. All assets of a job share their partitions, so that one run carries one stretch of them.
STEPS: dict[str, tuple[tuple[str, ...], str]] = {
    "parse_and_embed_shards": (("documents", "embeddings"), "Crawl files to documents and their vectors."),
    "rate_documents": (("annotations",), "Ask the lens's rater for judgements on a sample of each shard."),
    "train_and_promote_classifier": (
        ("classifier", "promotion"),
        "Train on all ratings of a lens, check, and promote if the checks pass.",
    ),
    "score_documents": (("scores",), "The promoted classifier's score of every document."),
    "set_cutoff": (("cutoff",), "Decide which scores are kept, over the whole corpus."),
    "filter_documents": (("filtered_documents",), "Apply the cut-off to every document."),
    "cut_release": (("release",), "Copy the kept documents out, with manifest, checksums and dataset card."),
}
ANNEALING_STEPS: dict[str, tuple[tuple[str, ...], str]] = {
    "anneal_control": (("control_model",), "Anneal the control on the base mixture; all lenses share it."),
    "anneal_and_evaluate_candidate": (
        ("candidate_model", "eval_report"),
        "Anneal a candidate on the release and compare it with the control.",
    ),
}


def build_jobs(graph: Graph) -> Sequence[Any]:  # what define_asset_job returns has no public type
    """The jobs of a project; those that anneal only where a lens asks for it."""
    steps = STEPS | (ANNEALING_STEPS if graph.annealed else {})
    return [
        dg.define_asset_job(name, dg.AssetSelection.assets(*assets), description=description)
        for name, (assets, description) in steps.items()
    ]
