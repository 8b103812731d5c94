"""What became of a document: other scores that a condition asks about, cut-off, verdict, releases.

What belongs here: the steps from the cut-off on, and the verdict in one sentence. What does not: deciding anything (the
filtering stage does).
"""

from typing import Any

import polars as pl

from datashop_assets.filter_settings import OTHER_SOURCES
from datashop_assets.filtering.cutoff import Bounds, CutoffRecord, Reason, bounds_of
from datashop_assets.filtering.draw import drawing_keys
from datashop_assets.filtering.state import filtered_versions
from datashop_assets.records import CUTOFFS, FILTERED, RELEASES
from datashop_assets.scoring.sources import score_source
from datashop_assets.seams import Lake
from datashop_assets.tracing.steps import Step
from datashop_assets.tracing.subject import Subject
from datashop_assets.tracing.views import ReleaseRow, TraceError, readable

# The newest releases that are asked whether they hold the document, each at its own tables' versions.
MOST_RELEASES = 20


def cutoffs_of(lake: Lake, lens: str) -> list[CutoffRecord]:
    """The lens's records, newest first."""
    rows = lake.scan(CUTOFFS).filter(pl.col("lens") == lens).sort("created_at", descending=True).collect()
    return [CutoffRecord.from_row(row) for row in rows.to_dicts()]


def cutoff_step(of: Subject, record: CutoffRecord, in_force: bool) -> Step:
    """The record: policy, bound for this document's source, and what it was decided over."""
    group = _group(of, record)
    whose = f" for source {group}" if group else ""
    words = (
        f"{record.cutoff}: {_bound_words(bounds_of(record, group))}{whose}, by policy "
        f"{record.policy}; decided at {record.created_at:%Y-%m-%d %H:%M} UTC over {len(record.shards)} shards, "
        f"{record.documents} documents, of which it kept {record.kept_share:.2%} (± {record.share_error:.2%})"
    )
    words += "" if in_force else "; a newer cut-off is in force"
    words += "" if of.shard in record.shards else "; this document's shard came later"
    facts: dict[str, Any] = record.to_row() | {"shards": len(record.shards), "group": group}
    return Step("cut-off", words, CUTOFFS.name, of.lake.version(CUTOFFS), facts)


def condition_steps(of: Subject, record: CutoffRecord) -> list[Step]:
    """The scores that the condition asks about, and the population's verdict, where the rule has them."""
    rule, project = record.ranking.rule, of.graph.project
    steps = []
    for name in rule.condition.names if rule.condition else ():
        if name == of.lens:
            continue
        try:
            source = score_source(of.lake, project, name)
        except LookupError as error:
            steps.append(Step("condition", f"{name}: {error}"))
            continue
        rows = of.rows(source.table, {"classifier": [source.classifier]})
        score = "no score" if not rows or rows[0]["score"] is None else f"{rows[0]['score']:.4g}"
        words = f"{name} is {score}, in the condition `{rule.condition.text if rule.condition else ''}`"
        steps.append(Step("condition", words, source.table.name, of.lake.version(source.table), dict(*rows[:1])))
    if rule.population:
        table = FILTERED.of(rule.population)
        rows = of.rows(table)
        said = f"{'keeps' if rows[0]['kept'] else 'drops'} it ({rows[0]['reason']})" if rows else "has not judged it"
        words = f"lens {rule.population}, which gives the population, {said}"
        steps.append(Step("population", words, table.name, of.lake.version(table), dict(*rows[:1])))
    return steps


def filtered_step(of: Subject, record: CutoffRecord | None) -> Step:
    """The filter's verdict with its reason, and whether it is of the cut-off and the inputs as they are."""
    table = FILTERED.of(of.lens)
    version, rows = of.lake.version(table), of.rows(table)
    if not rows:
        return Step("filter", "not filtered yet", table.name, version)
    row = rows[0]
    words = "kept" if row["kept"] else f"dropped: {row['reason']}"
    words += f" ({row['detail']})" if row["detail"] else ""
    if record is not None:
        wanted, _ = filtered_versions(of.lake, record, of.graph.project, [of.cell])
        stale = wanted.get(of.cell) != row["version"]
        words += f"; by an earlier cut-off than {record.cutoff}, or earlier inputs" if stale else ""
    return Step("filter", words, table.name, version, row)


def release_step(of: Subject, now: Lake, releases: list[ReleaseRow]) -> Step:
    """The releases that hold the document: asked of the filter's table at the version that each manifest names."""
    table = FILTERED.of(of.lens)
    inside, unknown = [], []
    for release in releases[-MOST_RELEASES:]:
        try:
            with readable(f"release {release.release}"):
                rows = now.scan(table, {"shard": [of.shard]}, release.tables[table.name])
                found = rows.filter(pl.col("id") == of.id, pl.col("kept")).select("id").collect()
                inside += [release.release] * found.height
        except TraceError:
            unknown.append(release.release)
    asked = f"the newest {MOST_RELEASES}" if len(releases) > MOST_RELEASES else f"{len(releases)} of the lens"
    words = f"in {', '.join(inside) if inside else 'none'} (asked: {asked})"
    words += f"; not known of {', '.join(unknown)}, whose tables' versions are gone" if unknown else ""
    return Step("releases", words, RELEASES.name, now.version(RELEASES), {"inside": inside, "unknown": unknown})


def verdict_words(of: Subject, filtered: Step, score: Step, record: CutoffRecord | None) -> str:
    """The reason in one sentence."""
    row = filtered.facts
    if not row:
        return "Not decided: " + ("it is not filtered yet" if record else "the lens has no cut-off yet") + "."
    how, value = "Kept" if row["kept"] else "Dropped", score.facts.get("exact", score.facts.get("score"))
    ranked = {Reason.KEPT, Reason.BELOW_LOWER, Reason.ABOVE_UPPER, Reason.INSIDE_EXCLUDED_RANGE, Reason.NOT_DRAWN}
    if row["reason"] not in ranked or record is None or value is None:
        detail = f" ({row['detail']})" if row["detail"] else ""
        return f"{how}: {row['reason']}{detail}."
    bounds = _bound_words(bounds_of(record, _group(of, record)))
    drawn = record.ranking.rule.draw
    if drawn:
        key = drawing_keys(pl.Series([value], dtype=pl.Float32).to_numpy(), pl.Series([of.document["text_sha"]]), drawn)
        return f"{how}: its score {value:.4g} with its draw's noise is {key[0]:.4g}; {bounds} is kept."
    why = "" if row["kept"] else f" ({row['reason']})"
    return f"{how}{why}: its score is {value:.4g}, and {bounds} is kept."


def _group(of: Subject, record: CutoffRecord) -> str:
    """The group of the document's source, which has a bound of its own; empty where there is one for all."""
    sources = record.ranking.rule.sources
    if not sources:
        return ""
    source = str(of.document["source"])
    return source if source in sources else OTHER_SOURCES


def _bound_words(bounds: Bounds) -> str:
    low = None if bounds.lower is None else f"{bounds.lower:.4g}"
    high = None if bounds.upper is None else f"{bounds.upper:.4g}"
    if low is None and high is None:
        return "every score"
    if bounds.reverse:
        return " or ".join(filter(None, [low and f"below {low}", high and f"above {high}"]))
    return f"{low} to {high}" if low and high else f"{low} or more" if low else f"{high} or less"
