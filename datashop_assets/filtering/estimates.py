"""Cut-offs that reach among a cascade's estimates, which are no scores and are not to be cut among.

What belongs here: which shards these are, and what to do about them. What does not: cascades themselves (`scoring/`),
deciding a cut-off (`decide.py`).

A cascade says of a document that it skips that it is surely below the cut-off that the cascade was calibrated to, and
nothing else. Where a crawl is poorer, a keep-fraction falls below that; so does a policy that asks for more. The
cut-off is recorded all the same, since a cascade is calibrated to the cut-off in force; the shards wait until they have
scores by a cascade for it, or exact ones.
"""

from collections.abc import Sequence

from datashop_assets.classifier.registry import find_classifier
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.records import Cell
from datashop_assets.scoring.cascades import CascadeRecord, bounds_scores_below, cascades_of
from datashop_assets.scoring.current import current_scores
from datashop_assets.seams import Lake


class AmongEstimatesError(LookupError):
    """A shard that a cascade scored for a higher cut-off; the message says what to materialize."""


def cut_among_estimates(lake: Lake, cutoff: CutoffRecord, cells: Sequence[Cell]) -> dict[Cell, Exception]:
    """The cells whose scores are estimates of a cascade that is not good for this cut-off, each with the error that
    says what to do. No rows of scores are read."""
    if not cascades_of(lake, cutoff.lens):
        return {}
    scored = current_scores(lake, find_classifier(lake, cutoff.lens, cutoff.classifier), cells)
    return {
        cell: AmongEstimatesError(_what_to_do(cutoff, origin.cascade))
        for cell, origin in scored.items()
        if origin.cascade is not None and not _good_for(origin.cascade, cutoff)
    }


def _good_for(cascade: CascadeRecord, cutoff: CutoffRecord) -> bool:
    """What is surely below the cascade's bound is below a higher one too, and nothing is known of a lower one."""
    return cutoff.lower is not None and bounds_scores_below(cutoff.to_row()) and cutoff.lower >= cascade.lower


def _what_to_do(cutoff: CutoffRecord, cascade: CascadeRecord) -> str:
    reach = "keeps low scores too" if cutoff.lower is None else f"is at {cutoff.lower:.6g}"
    return (
        f"materialize `cascade`, then `scores` first (or `embeddings`, then `scores`, for exact ones): cut-off "
        f"{cutoff.cutoff} {reach}, among the estimates of cascade {cascade.cascade}, which was calibrated to "
        f"{cascade.lower:.6g}"
    )
