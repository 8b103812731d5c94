"""Whether filtered cells tell of the documents as they are now: a release asks, a cut-off over scores does not.

What belongs here: what of all that a filter reads was made of other documents than there are now. What does not: the
versions of filtered cells, made from their inputs as these are (`state.py`); refusing a release (`produce.py`).

`filtered_documents` follows the scores and what else it reads; where documents were parsed anew and nothing after them,
it is up to date with scores of the documents that were. Versions alone tell so: no rows are read.
"""

from collections.abc import Iterator, Sequence

from datashop_assets.attribute_settings import inputs_of
from datashop_assets.attributes.state import upstreams, wanted_versions
from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.recipes import TEXT_ENCODER
from datashop_assets.classifier.registry import ClassifierRecord, find_classifier
from datashop_assets.deduplication.inputs import judging_tables
from datashop_assets.filtering.cutoff import CutoffRecord
from datashop_assets.filtering.exact_decisions import reduced_names
from datashop_assets.filtering.state import require_cutoff
from datashop_assets.lineage import embeddings_version
from datashop_assets.project import Project
from datashop_assets.records import CUTOFFS, DOCUMENTS, EMBEDDINGS, FILTERED, SCORES, Cell, TableSpec
from datashop_assets.scoring.current import current_scores
from datashop_assets.scoring.sources import score_source
from datashop_assets.scoring.tables import EXACT_SCORES
from datashop_assets.seams import Lake

Outdated = dict[str, list[str]]


def outdated_inputs(lake: Lake, cutoff: CutoffRecord, project: Project, shards: Sequence[str]) -> Outdated:
    """What the filter of this cut-off reads of the shards and what was made of other documents than there are now: by
    the asset to materialize, the first one first, the shards that it is for; empty where there is nothing.

    Raises LookupError where a name that the filter reads has no scores at all.
    """
    found: Outdated = {}
    for asset, stale in _outdated(lake, cutoff, project, shards):
        found[asset] = sorted({*found.get(asset, ()), *stale})
    return {asset: stale for asset, stale in found.items() if stale}


def tables_read(lake: Lake, cutoff: CutoffRecord, project: Project) -> tuple[TableSpec, ...]:
    """Every table that decides which documents the cut-off keeps and what a release of them holds.

    Raises LookupError as `outdated_inputs` does.
    """
    own: tuple[TableSpec, ...] = (DOCUMENTS, SCORES.of(cutoff.lens), FILTERED.of(cutoff.lens), CUTOFFS)
    own += tuple(EXACT_SCORES.of(name) for name in reduced_names(lake, cutoff.ranking, project))
    beside = [score_source(lake, project, name).table for name in _conditions(cutoff)]
    population = cutoff.ranking.rule.population
    if population:
        beside += tables_read(lake, require_cutoff(lake, population), project)
    return tuple({table.name: table for table in (*own, *beside, *judging_tables(project.deduplication))}.values())


def _outdated(
    lake: Lake, cutoff: CutoffRecord, project: Project, shards: Sequence[str]
) -> Iterator[tuple[str, list[str]]]:
    if population := cutoff.ranking.rule.population:
        yield from _outdated(lake, require_cutoff(lake, population), project, shards)
    yield from _scores(lake, find_classifier(lake, cutoff.lens, cutoff.classifier), shards)
    for name in _conditions(cutoff):
        yield from _of_name(lake, project, name, shards)


def _conditions(cutoff: CutoffRecord) -> list[str]:
    """The names beside its own that the filter's condition reads."""
    condition = cutoff.ranking.rule.condition
    return [name for name in dict.fromkeys(condition.names if condition else ()) if name != cutoff.lens]


def _of_name(lake: Lake, project: Project, name: str, shards: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Of a lens's scores, or of an attribute's and those that it is made of."""
    source = score_source(lake, project, name)
    if name in project.lenses:
        yield from _scores(lake, find_classifier(lake, name, source.classifier), shards)
        return
    for one in inputs_of(project.attributes[name]):
        yield from _of_name(lake, project, one, shards)
    cells = [Cell(shard, name) for shard in shards]
    wanted, _ = wanted_versions(lake, upstreams(lake, project, name), source.classifier, cells)
    known = have(lake, source.target, list(wanted))
    asset = "derived_attributes" if inputs_of(project.attributes[name]) else "attributes"
    yield (
        f"`{asset}` of {name!r}",
        [cell.shard for cell, version in wanted.items() if known.get(cell, (None, 0))[0] != version],
    )


def _scores(lake: Lake, classifier: ClassifierRecord, shards: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    cells = [Cell(shard, classifier.lens) for shard in shards]
    current = current_scores(lake, classifier, cells)
    stale = [cell for cell in cells if cell not in current]
    if stale and classifier.encoder != TEXT_ENCODER:
        documents = have(lake, Target(DOCUMENTS), stale)
        vectors = have(lake, Target(EMBEDDINGS.of(classifier.encoder)), stale)
        yield (
            "`embeddings`",
            [
                cell.shard
                for cell in stale
                if cell in vectors
                and vectors[cell][0] != embeddings_version(str(documents[cell][0]), classifier.encoder)
            ],
        )
    yield f"`scores` of lens {classifier.lens!r}", [cell.shard for cell in stale]
