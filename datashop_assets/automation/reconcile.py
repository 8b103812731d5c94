"""What is stale in the whole graph, as stretches of work: wanted against have, stage by stage.

What belongs here: which versions each stage wants, from the project and the tables. What does not: how stale cells
become rectangles (`lineage.plan`), how work becomes runs (`sensors.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.registry import find_classifier, promoted
from datashop_assets.corpus.documents import documents_version
from datashop_assets.corpus.registry import registered_shards
from datashop_assets.filtering.cutoff import policy_text
from datashop_assets.filtering.drift import cutoff_has_drifted
from datashop_assets.filtering.state import current_cutoff, wanted_filtered
from datashop_assets.graph import Graph
from datashop_assets.lineage import Rectangle, content_id, embeddings_version, plan
from datashop_assets.records import CUTOFFS, DOCUMENTS, EMBEDDINGS, FILTERED, SCORES, Cell
from datashop_assets.scoring.state import scores_target, wanted_scores
from datashop_assets.seams import Lake

# The jobs that work is done by; `jobs.py` says what is in them.
RECONCILED_JOBS = ("parse_and_embed_shards", "score_documents", "set_cutoff", "filter_documents")


@dataclass(frozen=True)
class Work:
    """One run's worth: a job, and the stretch of shards. `target` names the wanted versions and the table's version.

    The table's version makes a key of its own for work that was done, undone by a promotion, and is wanted again.
    `partition_key` is the lens of a job that is partitioned by lens alone, for which the stretch is all shards.
    """

    job: str
    stretch: Rectangle
    target: str
    partition_key: str | None = None

    @property
    def key(self) -> str:
        """The same for the same work asked for again."""
        s = self.stretch
        return f"{self.job}:{s.lens or '-'}:{s.first}..{s.last}:{self.target}"


def stale_work(lake: Lake, graph: Graph, encoder: str, shards: Sequence[str]) -> list[Work]:
    """Everything that can be brought up to date now without spending on raters or promoting anything.

    `shards` are the registered partitions in Dagster's order. Work whose inputs are still stale is left for a later
    look, so that a run never finds its inputs missing.
    """
    work = _corpus_work(lake, graph, encoder, shards)
    waiting = {
        shard
        for item in work
        for shard in shards[shards.index(item.stretch.first) : shards.index(item.stretch.last) + 1]
    }
    ready = [shard for shard in shards if shard not in waiting]
    for lens in graph.lenses:
        work += _lens_work(lake, graph, encoder, lens, ready, shards)
    return work


def _corpus_work(lake: Lake, graph: Graph, encoder: str, shards: Sequence[str]) -> list[Work]:
    registered = {shard.shard: shard for shard in registered_shards(lake)}
    landings = {landing.dataset for landing in graph.project.landings}  # a landing taken out of the project rests
    wanted_documents = {
        Cell(key): documents_version(registered[key], graph.project.landing(registered[key].dataset))
        for key in shards
        if key in registered and registered[key].dataset in landings
    }
    wanted_vectors = {cell: embeddings_version(version, encoder) for cell, version in wanted_documents.items()}
    cells = list(wanted_documents)
    have_documents = _versions(lake, Target(DOCUMENTS), cells)
    have_vectors = _versions(lake, Target(EMBEDDINGS.of(encoder)), cells)
    # One run makes both, so a shard counts as there when both are.
    wanted = {cell: wanted_documents[cell] + wanted_vectors[cell] for cell in cells}
    there = {cell: f"{have_documents.get(cell)}{have_vectors.get(cell)}" for cell in cells}
    return _as_work("parse_and_embed_shards", wanted, there, shards, lake.version(EMBEDDINGS.of(encoder)))


def _lens_work(
    lake: Lake, graph: Graph, encoder: str, lens: str, ready: Sequence[str], shards: Sequence[str]
) -> list[Work]:
    promotion = promoted(lake, lens)
    if promotion is None or not ready or find_classifier(lake, lens, promotion.classifier).encoder != encoder:
        return []  # a classifier of another encoder is for a person to replace
    cells = [Cell(shard, lens) for shard in ready]
    wanted = wanted_scores(lake, encoder, promotion.classifier, cells)
    there = _versions(lake, scores_target(lens, promotion.classifier), cells)
    stale = _as_work("score_documents", wanted, there, shards, lake.version(SCORES.of(lens)))
    cutoff = current_cutoff(lake, lens)
    if stale:
        return stale
    policy = graph.settings(lens).cutoff
    asked = policy_text(policy)
    in_force = cutoff is not None and (cutoff.classifier, cutoff.policy) == (promotion.classifier, asked)
    if cutoff is None or not in_force or cutoff_has_drifted(lake, cutoff, policy):
        everything = Rectangle(lens, ready[0], ready[-1], len(ready), len(ready))
        target = content_id(promotion.classifier, asked, lake.version(CUTOFFS))
        return [Work("set_cutoff", everything, target, partition_key=lens)]
    filtered = wanted_filtered(lake, cutoff, cells)
    table = FILTERED.of(lens)
    return _as_work("filter_documents", filtered, _versions(lake, Target(table), cells), shards, lake.version(table))


def _versions(lake: Lake, target: Target, cells: Sequence[Cell]) -> dict[Cell, str | None]:
    return {cell: version for cell, (version, _) in have(lake, target, cells).items()}


def _as_work(
    job: str,
    wanted: Mapping[Cell, str],
    there: Mapping[Cell, str | None],
    shards: Sequence[str],
    table_version: int | None,
) -> list[Work]:
    position = {shard: index for index, shard in enumerate(shards)}

    def target(stretch: Rectangle) -> str:
        inside = range(position[stretch.first], position[stretch.last] + 1)
        return content_id([wanted.get(Cell(shards[index], stretch.lens)) for index in inside], table_version)

    return [Work(job, stretch, target(stretch)) for stretch in plan(wanted, there, shards)]
