"""What the demo prints at the end, read back from the tables.

What belongs here: wording. What does not: any figure of its own; all of them stand in the tables and the UI as well.
"""

import json
from collections.abc import Iterator

import polars as pl

from datashop_assets.classifier.registry import promoted, trained
from datashop_assets.classifier.report import Report
from datashop_assets.corpus.quality import corpus_quality
from datashop_assets.curation.produce import current_curation
from datashop_assets.evaluation.produce import reports
from datashop_assets.filtering.state import current_cutoff
from datashop_assets.graph import Graph
from datashop_assets.rating.quality import rating_quality
from datashop_assets.records import RELEASES
from datashop_assets.scoring.tables import ATTRIBUTE_REPORTS
from datashop_assets.seams import Exports, Lake
from datashop_assets.selection.tables import SELECTIONS

# Of the report's figures, those that a reader wants first.
SHOWN = ("mae", "mae_gain_over_mean", "spearman", "f1_at_positive", "macro_f1", "accuracy")


def summarise(lake: Lake, graph: Graph, releases: Exports) -> str:
    """The whole summary."""
    lines = ["What happened", "============="]
    for row in corpus_quality(lake).to_dicts():
        lines.append(
            f"documents    {row['documents']} in {row['shards']} shards of {row['dataset']}; {row['quarantined']} rows "
            f"quarantined ({row['reasons'] or 'none'})"
        )
    for row in rating_quality(lake, graph.lenses.values()).to_dicts():
        mean = row["mean score"]  # null of a label lens, or where every judgement failed
        lines.append(
            f"ratings      {row['lens']}: {row['judgements']} by {row['rater']}, {row['failed']} failed"
            + ("" if mean is None else f", mean {mean:.2f}")
        )
    for lens in graph.score_lenses:
        lines += _curation(lake, lens)
        lines += _subset(lake, lens)
        lines += _classifier(lake, lens)
        lines += _filtered(lake, lens, releases)
    lines += _attributes(lake, graph)
    for lens in graph.annealed:
        for report in reports(lake, lens)[-1:]:
            lines.append(f"evaluation   {lens}: {report.comparison.verdict}")
            lines += [
                f"             {task.task}: control {task.control:.4f}, candidate {task.candidate:.4f}, difference "
                f"{task.difference:+.4f} {task.interval} (n={task.n})"
                for task in report.comparison.tasks
            ]
    return "\n".join(lines)


def _attributes(lake: Lake, graph: Graph) -> Iterator[str]:
    rows = lake.scan(ATTRIBUTE_REPORTS).sort("created_at").collect().to_dicts()
    for row in rows[-1:]:
        pairs = [pair for pair in json.loads(row["correlations"]) if pair["spearman"] is not None]
        pairs.sort(key=lambda pair: -abs(pair["spearman"]))
        shown = ", ".join(f"{pair['first']} and {pair['second']} {pair['spearman']:+.2f}" for pair in pairs[:3])
        yield (
            f"attributes   {', '.join(graph.project.attributes)}; strongest rank correlations over {row['documents']} "
            f"documents: {shown}"
        )


def _curation(lake: Lake, lens: str) -> Iterator[str]:
    report, _ = current_curation(lake, lens)
    if report is None:
        return
    gain = "not tried" if report.gain is None else str(report.gain)
    done = f"{report.changed} of {report.rows} scores changed" if report.applied else "the ratings stay as they are"
    yield f"curation     {lens}: {done}; {report.flagged} look wrong to their neighbours; prediction gain {gain}"


def _subset(lake: Lake, lens: str) -> Iterator[str]:
    rows = lake.scan(SELECTIONS).filter(pl.col("lens") == lens).sort("created_at").collect().to_dicts()
    for row in rows[-1:]:
        yield (
            f"subset       {lens}: {row['rows']} documents, {row['tokens']:,} tokens, by {row['strategy']} within "
            f"{row['budget']}"
        )


def _classifier(lake: Lake, lens: str) -> Iterator[str]:
    records = trained(lake, lens)
    if not records:
        return
    record, promotion = records[-1], promoted(lake, lens)
    in_force = promotion is not None and promotion.classifier == record.classifier
    yield f"classifier   {lens}: {record.classifier}, {'promoted' if in_force else 'NOT promoted'}; {record.verdict}"
    figures = Report.from_json(record.metrics).figures
    for name in SHOWN:
        figure = figures.get(name)
        if figure is not None:
            yield f"             {name.replace('_', ' ')} {figure}"


def _filtered(lake: Lake, lens: str, releases: Exports) -> Iterator[str]:
    cutoff = current_cutoff(lake, lens)
    if cutoff is not None:
        yield f"kept share   {lens}: {cutoff.kept_share:.1%} of {cutoff.documents} documents (cut-off {cutoff.cutoff})"
    rows = lake.scan(RELEASES).filter(pl.col("lens") == lens).sort("created_at").collect().to_dicts()
    for row in rows[-1:]:
        yield f"release      {lens}: {row['documents']} documents in {releases.place(row['uri'])}"
