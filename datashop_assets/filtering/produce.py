"""One release, from the tables to the folder and its record: what is already there is not written again.

What belongs here: which rows go in, and the refusal of a corpus that is not wholly filtered. What does not: the files
(`release.py`), the cut-off (`cutoff.py`).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.registry import find_classifier
from datashop_assets.classifier.report import Report
from datashop_assets.corpus.registry import active_shards
from datashop_assets.deduplication.inputs import rejection_versions, removed_spans
from datashop_assets.filtering.current import outdated_inputs, tables_read
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.drift import looks_at
from datashop_assets.filtering.facts import ReleaseFacts
from datashop_assets.filtering.overview import verdicts_in_table
from datashop_assets.filtering.release import FORMAT, ReleaseError, first_rows, write_release
from datashop_assets.filtering.spans import without_spans
from datashop_assets.filtering.state import require_cutoff, wanted_filtered
from datashop_assets.filtering.texts import KeptTexts
from datashop_assets.lineage import inputs_version
from datashop_assets.project import Project
from datashop_assets.rating.lens import Lens
from datashop_assets.records import DOCUMENTS, FILTERED, RELEASES, Cell, TableSpec
from datashop_assets.release_settings import ReleaseSettings
from datashop_assets.seams import Exports, Lake, Tokenizers
from datashop_assets.tokens import TextTokenizer

SAMPLE_ROWS = 5
BEST_FIRST = 2  # part of a sorted release's id: raise it when the same rows would be written in other row groups
LOOKS = 5  # at tables that other runs may be writing


@dataclass(frozen=True)
class Release:
    """A release as it stands. `sources` has a row a source, `licenses` one a licence; `sample` a few documents.

    `directory` is its local folder, `place` where people find it. `verdicts` has a row [verdict, documents] for each
    verdict on the documents of the release's shards, kept or not.
    """

    release: str
    directory: Path
    place: str
    documents: int
    bytes: int
    sources: pl.DataFrame
    licenses: pl.DataFrame
    without_license: int
    verdicts: pl.DataFrame
    sample: pl.DataFrame
    reused: bool


@dataclass(frozen=True)
class FilteredCorpus:
    """The corpus as one cut-off filters it: its cells with their versions, as of the tables' versions."""

    cutoff: CutoffRecord
    cells: Mapping[Cell, str]
    tables: Mapping[str, int]


def filtered_corpus(lake: Lake, lens: str, project: Project) -> FilteredCorpus:
    """The project's corpus by the cut-off in force, as it stands at one moment.

    Raises ReleaseError where it is not wholly filtered by that cut-off, or where runs keep changing it.
    """
    for _ in range(LOOKS):
        tables = tables_read(lake, require_cutoff(lake, lens), project)
        before = _moment(lake, tables)
        cutoff = require_cutoff(lake, lens)
        cells = filtered_cells(lake, cutoff, project)
        if _moment(lake, tables_read(lake, cutoff, project)) == before:
            return FilteredCorpus(cutoff, cells, before)
    raise ReleaseError(
        f"lens {lens!r}: other runs keep writing {', '.join(table.name for table in tables)}; materialize this again "
        "when they are done"
    )


def _moment(lake: Lake, tables: Sequence[TableSpec]) -> dict[str, int]:
    """The version of each table; 0 where nothing was ever written."""
    return {table.name: lake.version(table) or 0 for table in tables}


def filtered_cells(lake: Lake, cutoff: CutoffRecord, project: Project) -> dict[Cell, str]:
    """Every active shard's filtered cell with its version, all of them by this cut-off.

    Raises ReleaseError naming the shards that are not filtered, or by an older cut-off, and those whose documents were
    parsed anew since what the filter reads of them was made.
    """
    active = {shard.shard for shard in active_shards(lake, project)}
    cells = [Cell(shard, cutoff.lens) for shard in lake.cells(DOCUMENTS)["shard"] if shard in active]
    wanted = wanted_filtered(lake, cutoff, project, cells)
    known = have(lake, Target(FILTERED.of(cutoff.lens)), cells)
    stale = [cell.shard for cell, version in wanted.items() if known.get(cell, (None, 0))[0] != version]
    if stale:
        raise ReleaseError(
            f"lens {cutoff.lens!r}: {len(stale)} of {len(cells)} shards are not filtered by cut-off {cutoff.cutoff} "
            f"yet ({', '.join(stale[:5])}); materialize `filtered_documents` for them first. A release never mixes "
            "cut-offs."
        )
    outdated = outdated_inputs(lake, cutoff, project, [cell.shard for cell in cells])
    if outdated:
        shards = sorted({shard for stale in outdated.values() for shard in stale})
        raise ReleaseError(
            f"lens {cutoff.lens!r}: the documents of {len(shards)} of {len(cells)} shards were parsed anew since they "
            f"were scored ({', '.join(shards[:5])}); materialize {', '.join(outdated)} and then `filtered_documents` "
            "for them first. A release never mixes documents with the scores of what they were."
        )
    return wanted


def produce_release(
    lake: Lake, lens: Lens, project: Project, releases: Exports, tokenizers: Tokenizers, lineage: Mapping[str, Any]
) -> Release:
    """Write the lens's release, put it where releases are and record it; or return the one that is there.

    The tables are read at the versions that they have now, which the manifest names. `tokenizers` is asked only where
    the project file asks for token files. Raises ReleaseError.
    """
    settings = project.lenses[lens.name].release
    corpus = filtered_corpus(lake, lens.name, project)
    cutoff, cells, versions = corpus.cutoff, corpus.cells, corpus.tables
    if looks_at(lake, cutoff).is_provisional:
        raise ReleaseError(
            f"lens {lens.name!r}: cut-off {cutoff.cutoff} is provisional, it was decided without the float32 scores of "
            "documents around its bound, which filtering has made since; materialize `cutoff` again, and then "
            "`filtered_documents` where it is a new one"
        )
    tokenizer = _tokenizer(settings, project, tokenizers)
    shards = [cell.shard for cell in cells]
    removals = _removals(lake, project, shards)
    release = inputs_version(
        {cell.shard: version for cell, version in cells.items()},
        FORMAT,
        lens.name,
        settings.version,
        tokenizer.id if tokenizer else None,
        removals,
        *([BEST_FIRST] if settings.sort_by_score == "within_files" else []),
    )
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
        settings=settings,
    )
    texts: Iterable[pl.DataFrame] = KeptTexts(lake, cutoff, shards, versions, settings.row_group_rows)
    if removals:
        texts = _cut(lake, project, texts, removals)
    name = f"{lens.name}/{release}"
    info = write_release(releases.folder(name), texts, facts, tokenizer)
    releases.publish(name)
    known = lake.scan(RELEASES).filter(pl.col("release") == release).collect()
    if known.is_empty():
        row = {
            "lens": lens.name,
            "release": release,
            "cutoff": cutoff.cutoff,
            "classifier": cutoff.classifier,
            "uri": name,
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
        releases.place(name),
        info.documents,
        info.bytes,
        pl.DataFrame(sorted(info.sources.items()), schema=["source", "documents"], orient="row"),
        _by_license(info.licenses),
        info.licenses.get(None, 0),
        verdicts_in_table(lake, lens.name, shards, versions[FILTERED.of(lens.name).name]),
        first_rows(info.directory, SAMPLE_ROWS),
        info.reused and not known.is_empty(),
    )


def _by_license(counts: Mapping[str | None, int]) -> pl.DataFrame:
    """Documents by licence, the most frequent first; a null licence is an unknown one."""
    schema = {"license": pl.String, "documents": pl.Int64}
    return pl.DataFrame(list(counts.items()), schema=schema, orient="row").sort(
        "documents", "license", descending=[True, False], nulls_last=True
    )


def _tokenizer(settings: ReleaseSettings, project: Project, tokenizers: Tokenizers) -> TextTokenizer | None:
    if "tokenized" not in settings.formats:
        return None
    return TextTokenizer(settings.tokenizer or project.anneal.model, tokenizers.tokenizer(settings.tokenizer))


def _removals(lake: Lake, project: Project, shards: Sequence[str]) -> dict[str, str]:
    """The version of what is cut out of each shard's texts; none where the project file does not ask for it."""
    if project.deduplication.paragraphs is None:
        return {}
    return rejection_versions(lake, project.deduplication, shards)


def _cut(
    lake: Lake, project: Project, texts: Iterable[pl.DataFrame], removals: Mapping[str, str]
) -> Iterator[pl.DataFrame]:
    """The texts without repeated paragraphs. Raises ReleaseError where other runs changed what is cut out meanwhile."""
    yield from without_spans(texts, lambda shard: removed_spans(lake, project.deduplication, shard))
    if _removals(lake, project, list(removals)) != removals:
        raise ReleaseError(
            "what deduplication cuts out was made anew while the release was written; materialize `release` again when "
            "other runs are done"
        )
