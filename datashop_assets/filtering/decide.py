"""Deciding a cut-off: bounds from summaries of all scores, and whether the last record still does what is asked.

What belongs here: that decision. What does not: records and reason codes (`cutoff.py`), reading and summarising scores
(`candidates.py`, `sketches.py`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from datashop_assets.filter_settings import KeepFraction, Quota, Quotas, Threshold
from datashop_assets.filtering.cutoff import Bounds, CutoffRecord, Reason, bounds_of
from datashop_assets.filtering.rule import Policy, Rule
from datashop_assets.lineage import content_id
from datashop_assets.scoring.sketch import ScoreSketch


class CutoffError(ValueError):
    """A cut-off that cannot be decided; the message says for which lens and what to do first."""


@dataclass(frozen=True)
class Corpus:
    """The scored documents of a lens, summarised: `ranked` those that bounds are asked of, by the group that has a
    bound of its own (one group, named "", where all have one); `unranked` how many have a reason not to be, by group
    and reason. `shards` have at least one document; `waiting` are scored, and what else the filter asks about is not
    there yet."""

    ranked: Mapping[str, ScoreSketch]
    unranked: Mapping[str, Mapping[str, int]]
    shards: tuple[str, ...]
    waiting: tuple[str, ...] = ()

    def unranked_for(self, *reasons: str) -> int:
        """How many documents are not ranked for one of these reasons."""
        return sum(counts.get(reason, 0) for counts in self.unranked.values() for reason in reasons)

    @property
    def documents(self) -> int:
        """The documents with all scores that the filter asks about: what a kept share is a share of."""
        return sum(sketch.n for sketch in self.ranked.values()) + self.unranked_for(Reason.CONDITION)

    @property
    def unscored(self) -> int:
        return self.unranked_for(Reason.UNSCORED)


@dataclass(frozen=True)
class Decision:
    """The record in force, whether it was made now, why, and what it does to today's scores.

    `kept_share` is the share of the `documents` with a score that the record keeps, `kept` how many of each group;
    `unscored` rows have none.
    """

    record: CutoffRecord
    is_new: bool
    why: str
    kept_share: float
    kept: Mapping[str, int]
    documents: int
    unscored: int


def decide(
    corpus: Corpus,
    rule: Rule,
    lens_name: str,
    classifier: str,
    previous: CutoffRecord | None,
    *,
    now: datetime | None = None,
) -> Decision:
    """The cut-off of a lens over all documents that `classifier` has scored.

    A keep-fraction keeps the k = max(1, round(share x documents)) best scores, by the k-th largest (exact where the
    summaries are); what ties with it is kept as well, so that the realised share can be above the one asked for, and is
    reported. Quotas do so in each group. A record is made only on a new classifier, on a changed rule, or when the
    previous record keeps a share of today's scores that is off by more than the policy's tolerance and another bound
    would mend it; else `previous` stands. Raises CutoffError where no document has a score.
    """
    if not any(ranked.n for ranked in corpus.ranked.values()):
        raise CutoffError(_nothing(corpus, lens_name, classifier))

    def decision(record: CutoffRecord, is_new: bool, why: str) -> Decision:
        kept = _kept(corpus, record)
        share = sum(kept.values()) / corpus.documents
        return Decision(record, is_new, why, share, kept, corpus.documents, corpus.unscored)

    asked = rule.text
    if previous is None:
        why = "the lens had no cut-off"
    elif previous.classifier != classifier:
        why = f"the classifier is {classifier}, the cut-off was made for {previous.classifier}"
    elif previous.policy != asked:
        why = f"the policy is {asked}, was {previous.policy}"
    elif isinstance(rule.policy, Threshold):
        return decision(previous, False, "unchanged: same classifier and bounds")
    else:
        stands, why = _stands(corpus, rule.policy, previous)
        if stands:
            return decision(previous, False, f"unchanged: {why}")
    record = _record(corpus, rule, lens_name, classifier, now or datetime.now(UTC))
    return decision(record, True, f"new: {why}")


def _nothing(corpus: Corpus, lens_name: str, classifier: str) -> str:
    unranked: dict[str, int] = {}
    for counts in corpus.unranked.values():
        for reason, documents in counts.items():
            unranked[reason] = unranked.get(reason, 0) + documents
    reasons = ", ".join(f"{reason}: {documents}" for reason, documents in sorted(unranked.items()))
    return (
        f"lens {lens_name!r}: none of {sum(unranked.values())} documents has a score by classifier {classifier!r} to "
        f"cut at ({reasons or 'no document was scored'}); materialize scores for some shards first"
        + (", or change the condition or the population" if set(unranked) - {Reason.UNSCORED} else "")
    )


def _goal(policy: KeepFraction | Quotas, group: str, n: int) -> tuple[float, int, float]:
    """Of a group of n ranked documents: the share asked for, that many documents, and the share's tolerated error."""
    quota = policy.quotas[group] if isinstance(policy, Quotas) else Quota(keep_fraction=policy.keep_fraction)
    if quota.keep_fraction is not None:
        return quota.keep_fraction, max(1, round(quota.keep_fraction * n)), policy.tolerance
    wanted = min(quota.documents or 0, n)
    return wanted / n, wanted, policy.tolerance * wanted / n


def _stands(corpus: Corpus, policy: KeepFraction | Quotas, previous: CutoffRecord) -> tuple[bool, str]:
    """Whether the previous record of the same rule still does what is asked, in every group, and why."""
    abouts = []
    for group, ranked in corpus.ranked.items():
        if not ranked.n:
            continue
        asked, _, tolerated = _goal(policy, group, ranked.n)
        before = bounds_of(previous, group)
        share = before.kept(ranked) / ranked.n
        of_group = f" of source {group!r}" if group else ""
        about = f"it keeps {share:.4f} of {ranked.n} documents{of_group} where {asked:.6g} is asked"
        if abs(share - asked) <= tolerated:
            abouts.append(f"{about}, within {tolerated:.6g}")
        elif _bounds(ranked, policy, group) == before:
            abouts.append(f"{about}, but equal scores leave no better bound")
        else:
            return False, about
    return True, "; ".join(abouts)


def _bounds(ranked: ScoreSketch, policy: Policy, group: str) -> Bounds:
    if isinstance(policy, Threshold):
        return Bounds(_single(policy.lower), _single(policy.upper), policy.reverse)
    if not ranked.n:
        return Bounds(math.inf)
    _, wanted, _ = _goal(policy, group, ranked.n)
    return Bounds(ranked.largest(wanted) if wanted else math.inf)


def _record(corpus: Corpus, rule: Rule, lens_name: str, classifier: str, now: datetime) -> CutoffRecord:
    bounds = {group: _bounds(ranked, rule.policy, group) for group, ranked in corpus.ranked.items()}
    by_source = {source: bounds[source].lower for source in rule.sources if source in bounds}
    one = Bounds(None) if rule.sources else bounds[""]
    kept = sum(bounds[group].kept(ranked) for group, ranked in corpus.ranked.items())
    error = sum(bounds[group].error(ranked) for group, ranked in corpus.ranked.items())
    of_sources = (by_source,) if rule.sources else ()
    decided = (lens_name, classifier, rule.text, one.lower, one.upper, one.reverse, corpus.shards)
    return CutoffRecord(
        lens=lens_name,
        cutoff=content_id("cutoff", *decided, *of_sources),
        classifier=classifier,
        policy=rule.text,
        lower=one.lower,
        upper=one.upper,
        reverse=one.reverse,
        kept_share=kept / corpus.documents,
        documents=corpus.documents,
        shards=corpus.shards,
        created_at=now,
        share_error=error / corpus.documents,
        lower_by_source={source: math.inf if lower is None else lower for source, lower in by_source.items()},
    )


def _kept(corpus: Corpus, record: CutoffRecord) -> dict[str, int]:
    return {group: bounds_of(record, group).kept(ranked) for group, ranked in corpus.ranked.items()}


def _single(bound: float | None) -> float | None:
    return None if bound is None else float(np.float32(bound))
