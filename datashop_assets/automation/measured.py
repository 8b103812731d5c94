"""What earlier runs took, read from Dagster's event log, the tables' sizes and the recorded ratings.

What belongs here: reading. What does not: what follows for a plan (`estimates.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import polars as pl

from datashop_assets.automation.estimates import DECIDING, Measured, MeasuredRun, Rate, rate_of
from datashop_assets.automation.reconcile import RATING_JOBS
from datashop_assets.corpus.registry import active_shards
from datashop_assets.graph import Graph
from datashop_assets.records import ANNOTATIONS, DOCUMENTS, EMBEDDINGS, FILTERED, SCORES
from datashop_assets.seams import Lake, LakeHistory

# The newest runs of a job that are read: a run has up to some thousands of events.
RUNS_READ = 5


def measure(
    lake: Lake,
    history: LakeHistory,
    graph: Graph,
    encoder: str,
    instance: dg.DagsterInstance | None,
    jobs: Iterable[str],
) -> Measured:
    """Everything that is known. Without an instance no rates are."""
    documents = lake.cells(DOCUMENTS)
    spending = [(RATING_JOBS[graph.lenses[lens].kind], lens) for lens in graph.lenses]
    return Measured(
        dict(zip(documents["shard"].to_list(), documents["rows"].to_list(), strict=True)),
        {shard.shard: shard.bytes for shard in active_shards(lake, graph.project)},
        {} if instance is None else measured_rates(instance, jobs),
        _bytes_a_document(history, graph, encoder),
        {key: cost for key in spending if (cost := _cost_a_document(lake, graph, key[1])) is not None},
        {key: graph.settings(key[1]).sample_per_shard for key in spending},
    )


def measured_rates(instance: dg.DagsterInstance, jobs: Iterable[str]) -> dict[str, Rate]:
    """The rate of each job of which runs went well and worked on documents."""
    found = {job: rate_of(measured_runs(instance, job)) for job in jobs}
    return {job: rate for job, rate in found.items() if rate is not None}


def measured_runs(instance: dg.DagsterInstance, job: str) -> list[MeasuredRun]:
    """The newest runs of the job that went well. Their documents are those of the cells that were not skipped, of the
    asset of the job that has the most; of a cut-off, those that it was decided over, whether it is another or not."""
    well = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS])
    runs = []
    for record in instance.get_run_records(well, limit=RUNS_READ):
        if record.start_time is None or record.end_time is None:
            continue
        counts: dict[dg.AssetKey, int] = {}
        logs = instance.all_logs(record.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        for entry in logs:
            made = entry.asset_materialization
            if made is not None:
                counts[made.asset_key] = counts.get(made.asset_key, 0) + _documents(job, made.metadata)
        runs.append(MeasuredRun(job, record.end_time - record.start_time, max(counts.values(), default=0)))
    return runs


def _documents(job: str, metadata: Mapping[str, dg.MetadataValue[Any]]) -> int:
    if job == DECIDING:
        decided_over = metadata.get("documents")
        return 0 if decided_over is None else int(decided_over.value)
    rows, skipped = metadata.get("dagster/partition_row_count"), metadata.get("skipped")
    return 0 if rows is None or (skipped is not None and skipped.value) else int(rows.value)


def _bytes_a_document(history: LakeHistory, graph: Graph, encoder: str) -> dict[tuple[str, str | None], float]:
    """Of the jobs that write a row a document: bytes a row, as the tables are now."""
    wanted: dict[tuple[str, str | None], Sequence[str]] = {
        ("parse_and_embed_shards", None): [DOCUMENTS.name, EMBEDDINGS.of(encoder).name],
        ("parse_shards", None): [DOCUMENTS.name],
        **{("score_documents", lens): [SCORES.of(lens).name] for lens in graph.score_lenses},
        **{("filter_documents", lens): [FILTERED.of(lens).name] for lens in graph.score_lenses},
    }
    there = set(history.tables())
    sizes: dict[str, float] = {}
    for name in {name for names in wanted.values() for name in names} & there:
        state = history.state(name)
        if state.rows:
            sizes[name] = state.bytes / state.rows
    return {key: sum(sizes[name] for name in names) for key, names in wanted.items() if set(names) <= set(sizes)}


def _cost_a_document(lake: Lake, graph: Graph, lens: str) -> float | None:
    """What a document's ratings by all raters of the lens cost, by the tokens that earlier ones took and the project
    file's prices; null where nothing was rated."""
    rows = lake.scan(ANNOTATIONS.of(lens)).select(pl.col("input_tokens", "output_tokens").cast(pl.Float64).mean())
    read, written = rows.collect().row(0)
    if read is None or written is None:
        return None
    prices = [graph.project.raters[name].price for name in graph.asked_raters(lens)]
    return float(sum(read * price.input + written * price.output for price in prices) / 1e6)
