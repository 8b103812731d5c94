"""One release, from the tables to the folder and its record: what is already there is not written again.

What belongs here: which rows go in, and the refusal of a corpus that is not wholly filtered. What does not: the files
(`release.py`), the cut-off (`cutoff.py`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.registry import find_classifier
from datashop_assets.classifier.report import Report
from datashop_assets.corpus.registry import active_shards
from datashop_assets.filtering.card import ReleaseFacts
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.release import COLUMNS, FORMAT, ReleaseError, write_release
from datashop_assets.filtering.state import require_cutoff, wanted_filtered
from datashop_assets.lineage import inputs_version
from datashop_assets.project import Project
from datashop_assets.rating.lens import Lens
from datashop_assets.records import CUTOFFS, DOCUMENTS, FILTERED, RELEASES, SCORES, Cell, TableSpec
from datashop_assets.seams import Lake

SAMPLE_ROWS = 5
LOOKS = 5  # at tables that other runs may be writing


@dataclass(frozen=True)
class Release:
    """A release as it stands. `sources` has a row a source, `licenses` one a licence; `sample` a few documents."""

    release: str
    directory: Path
    documents: int
    bytes: int
    sources: pl.DataFrame
    licenses: pl.DataFrame
    without_license: int
    sample: pl.DataFrame
    reused: bool


@dataclass(frozen=True)
class FilteredCorpus:
    """The corpus as one cut-off filters it: its cells with their versions, as of the tables' versions."""

    cutoff: CutoffRecord
    cells: Mapping[Cell, str]
    tables: Mapping[str, int]


def releasable_shards(lake: Lake, project: Project) -> list[str]:
    """The shards whose documents can be released: active ones that do not serve annotation alone."""
    return [shard.shard for shard in active_shards(lake, project) if not shard.pool_only]


def scored_corpus(lake: Lake, lens: str, classifier: str, project: Project) -> pl.DataFrame:
    """Shard and score of every document that the classifier has scored and that can be released.

    The others have no part in the cut-off: they would take up its keep-fraction.
    """
    scores = lake.scan(SCORES.of(lens), {"classifier": [classifier]})
    return scores.filter(pl.col("shard").is_in(releasable_shards(lake, project))).select("shard", "score").collect()


def filtered_corpus(lake: Lake, lens: str, project: Project) -> FilteredCorpus:
    """The project's corpus by the cut-off in force, as it stands at one moment.

    Raises ReleaseError where it is not wholly filtered by that cut-off, or where runs keep changing it.
    """
    tables = (DOCUMENTS, SCORES.of(lens), FILTERED.of(lens), CUTOFFS)

    def moment() -> dict[str, int]:
        return {table.name: lake.version(table) or 0 for table in tables}

    for _ in range(LOOKS):
        before = moment()
        cutoff = require_cutoff(lake, lens)
        cells = filtered_cells(lake, cutoff, project)
        if moment() == before:
            return FilteredCorpus(cutoff, cells, before)
    raise ReleaseError(
        f"lens {lens!r}: other runs keep writing {', '.join(table.name for table in tables)}; materialize this again "
        "when they are done"
    )


def filtered_cells(lake: Lake, cutoff: CutoffRecord, project: Project) -> dict[Cell, str]:
    """Every active shard's filtered cell with its version, all of them by this cut-off.

    Raises ReleaseError naming the shards that are not filtered, or by an older cut-off or older documents.
    """
    active = {shard.shard for shard in active_shards(lake, project)}
    cells = [Cell(shard, cutoff.lens) for shard in lake.cells(DOCUMENTS)["shard"] if shard in active]
    wanted = wanted_filtered(lake, cutoff, cells)
    known = have(lake, Target(FILTERED.of(cutoff.lens)), cells)
    stale = [cell.shard for cell, version in wanted.items() if known.get(cell, (None, 0))[0] != version]
    if stale:
        raise ReleaseError(
            f"lens {cutoff.lens!r}: {len(stale)} of {len(cells)} shards are not filtered by cut-off {cutoff.cutoff} "
            f"yet ({', '.join(stale[:5])}); materialize `filtered_documents` for them first. A release never mixes "
            "cut-offs."
        )
    return wanted


def produce_release(lake: Lake, lens: Lens, project: Project, releases: Path, lineage: Mapping[str, Any]) -> Release:
    """Write the lens's release into a folder below `releases` and record it; or return the one that is there.

    The tables are read at the versions that they have now, which the manifest names. Raises ReleaseError.
    """
    corpus = filtered_corpus(lake, lens.name, project)
    cutoff, cells, versions = corpus.cutoff, corpus.cells, corpus.tables
    release = inputs_version({cell.shard: version for cell, version in cells.items()}, FORMAT, lens.name)
    classifier = find_classifier(lake, lens.name, cutoff.classifier)
    rater = classifier.rater or "not recorded"
    figures = Report.from_json(classifier.metrics).figures
    facts = ReleaseFacts(
        release=release,
        lens=lens,
        cutoff=cutoff,
        rater=rater,
        quality={name: figure for name, figure in figures.items() if figure is not None},
        tables=versions,
    )
    batches = (kept_rows(lake, cutoff, cell.shard, versions) for cell in cells)
    info = write_release(releases / lens.name / release, (rows for rows in batches if rows.height), facts)
    known = lake.scan(RELEASES).filter(pl.col("release") == release).collect()
    if known.is_empty():
        row = {
            "lens": lens.name,
            "release": release,
            "cutoff": cutoff.cutoff,
            "classifier": cutoff.classifier,
            "uri": f"{lens.name}/{release}",
            "documents": info.documents,
            "bytes": info.bytes,
            "inputs_version": release,
            "manifest": json.dumps(info.manifest),
            "created_at": datetime.now(UTC),
        }
        lake.commit(RELEASES, pl.DataFrame([row], schema=RELEASES.schema), None, lineage)
    return Release(
        release,
        info.directory,
        info.documents,
        info.bytes,
        pl.DataFrame(sorted(info.sources.items()), schema=["source", "documents"], orient="row"),
        _by_license(info.licenses),
        info.licenses.get(None, 0),
        pl.scan_parquet(info.directory / "data" / "*.parquet").head(SAMPLE_ROWS).collect(),
        info.reused and not known.is_empty(),
    )


def release_folder(releases: Path, uri: str) -> Path:
    """Where a release of the table lies; a full path of before `releases` was moved leads to where it is now."""
    folder = releases / uri
    return folder if folder.exists() else releases.joinpath(*Path(uri).parts[-2:])


def _by_license(counts: Mapping[str | None, int]) -> pl.DataFrame:
    """Documents by licence, the most frequent first; a null licence is an unknown one."""
    schema = {"license": pl.String, "documents": pl.Int64}
    return pl.DataFrame(list(counts.items()), schema=schema, orient="row").sort(
        "documents", "license", descending=[True, False], nulls_last=True
    )


def kept_rows(lake: Lake, cutoff: CutoffRecord, shard: str, versions: Mapping[str, int]) -> pl.DataFrame:
    """The shard's kept documents with their scores, in the documents' order: the columns of `release.COLUMNS`."""

    def rows(table: TableSpec, **where: list[str]) -> pl.LazyFrame:
        return lake.scan(table, {"shard": [shard], **where}, versions[table.name])

    kept = rows(FILTERED.of(cutoff.lens)).filter("kept").select("id")
    scores = rows(SCORES.of(cutoff.lens), classifier=[cutoff.classifier]).select("id", "score", "int_score")
    documents = rows(DOCUMENTS).sort("file", "row").join(kept, on="id", how="semi", maintain_order="left")
    return documents.join(scores, on="id", how="left", maintain_order="left").select(list(COLUMNS)).collect()
