"""What is stale in the whole graph, as stretches of work: wanted against have, stage by stage.

What belongs here: which versions each stage wants, from the project and the tables. What does not: how stale cells
become rectangles (`lineage.plan`), which cells runs work on already (`runs.py`), how work becomes runs (`sensors.py`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from datashop_assets.attribute_settings import in_order
from datashop_assets.attributes.wanted import wanted_attribute
from datashop_assets.automation.jobs import deduplication_steps
from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.registry import find_classifier, promoted
from datashop_assets.corpus.documents import documents_version
from datashop_assets.corpus.registry import active_shards
from datashop_assets.deduplication.inputs import judging_tables
from datashop_assets.deduplication.ready import judgeable, present_answers, wanted_answers, wanted_signatures
from datashop_assets.deduplication.tables import MINHASHES
from datashop_assets.filtering.drift import cutoff_has_drifted
from datashop_assets.filtering.rule import Ranking, Rule
from datashop_assets.filtering.state import current_cutoff, filtered_versions, population_versions, ranking_versions
from datashop_assets.filtering.tables import SCORE_SKETCHES
from datashop_assets.graph import Graph
from datashop_assets.lineage import (
    Rectangle,
    annotations_version,
    base_version,
    content_id,
    embeddings_version,
    plan,
    stale_cells,
)
from datashop_assets.rating.quality import annotations_target
from datashop_assets.records import ANNOTATIONS, CUTOFFS, DOCUMENTS, EMBEDDINGS, FILTERED, SCORES, Cell
from datashop_assets.scoring.by_cascade import wanted_with_cascade
from datashop_assets.scoring.cascades import cascade_in_force
from datashop_assets.scoring.state import can_score, scores_target
from datashop_assets.scoring.tables import ATTRIBUTE_SCORES, CASCADE_AUDITS
from datashop_assets.seams import Lake, Rater

# The jobs that work is done by; `jobs.py` says what is in them.
FREE_JOBS = ("parse_and_embed_shards", "score_documents", "set_cutoff", "filter_documents")
# Of projects with a cascade, for shards that it spares the encoder.
CASCADE_JOB = "parse_shards"
# Of attributes that are measured on documents, and of those that are made of other scores.
ATTRIBUTE_JOBS = ("measure_attributes", "derive_attributes")
# Those that spend on raters, by the kind of lens: only for a lens that has `auto_annotate` in the project file.
RATING_JOBS = {"score": "rate_documents", "label": "label_documents"}

# The shards of a job and lens that runs work on already, or that have to rest for a while.
Busy = Callable[[str, str | None], Collection[str]]


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


def reconciled_jobs(graph: Graph) -> list[str]:
    """The jobs that `stale_work` can ask for in this project."""
    spending = {RATING_JOBS[graph.lenses[lens].kind] for lens in graph.lenses if graph.settings(lens).auto_annotate}
    measured = [ATTRIBUTE_JOBS[0]] if graph.measured_attributes else []
    derived = [ATTRIBUTE_JOBS[1]] if graph.derived_attributes else []
    free = [job for job in FREE_JOBS if job == FREE_JOBS[0] or graph.score_lenses]
    free += [CASCADE_JOB] if graph.cascaded else []
    return [*free, *deduplication_steps(graph), *measured, *derived, *sorted(spending)]


def nobody(job: str, lens: str | None) -> Collection[str]:  # noqa: ARG001 - the signature of Busy
    """No shard is busy."""
    return ()


def stale_work(
    lake: Lake,
    graph: Graph,
    encoder: str,
    shards: Sequence[str],
    *,
    raters: Callable[[str], Rater] | None = None,
    busy: Busy = nobody,
) -> list[Work]:
    """Everything that can be brought up to date now without promoting anything, and without spending on raters but for
    lenses that have `auto_annotate` (where `raters` are given).

    `shards` are the partitions in Dagster's order; those that this lake does not know, or that rest, are passed over.
    Work whose inputs are still stale is left for a later look, so that a run never finds its inputs missing, and no
    stretch reaches over a shard that is not ready or `busy`.
    """
    return _Look(lake, graph, encoder, shards, busy).work(raters)


@dataclass(frozen=True)
class _Look:
    lake: Lake
    graph: Graph
    encoder: str
    shards: Sequence[str]
    busy: Busy

    def work(self, raters: Callable[[str], Rater] | None) -> list[Work]:
        active = {shard.shard: shard for shard in active_shards(self.lake, self.graph.project)}
        documents = {
            Cell(key): documents_version(active[key], self.graph.project.landing(active[key].dataset))
            for key in self.shards
            if key in active
        }
        vectors = {cell: embeddings_version(version, self.encoder) for cell, version in documents.items()}
        vectors_target = Target(EMBEDDINGS.of(self.encoder))
        have_documents = self.have(Target(DOCUMENTS), list(documents))
        have_vectors = self.have(vectors_target, list(documents))
        spared = self.spared(list(documents), have_vectors)
        # One run makes both, so a shard counts as there when both are; of a spared one its documents are enough.
        wanted = {cell: version if cell in spared else version + vectors[cell] for cell, version in documents.items()}
        there = {
            cell: str(have_documents.get(cell)) + ("" if cell in spared else str(have_vectors.get(cell)))
            for cell in documents
        }
        work = []
        for job, cells, table in (
            ("parse_and_embed_shards", [cell for cell in wanted if cell not in spared], vectors_target.table),
            (CASCADE_JOB, [cell for cell in wanted if cell in spared], DOCUMENTS),
        ):
            work += self.as_work(job, {cell: wanted[cell] for cell in cells}, there, self.lake.version(table))
        ready = [cell.shard for cell in wanted if there[cell] == wanted[cell]]
        for lens in self.graph.score_lenses:
            without = spared if spared and not self.has_cascade(lens) else ()
            work += self.lens_work(lens, [shard for shard in ready if Cell(shard) not in without])
        parsed = {cell: version for cell, version in documents.items() if have_documents.get(cell) == version}
        work += self.deduplication_work(parsed)
        for attribute in in_order(self.graph.project.attributes):
            work += self.attribute_work(attribute, [cell.shard for cell in parsed])
        for lens in self.graph.lenses:
            if raters is not None and self.graph.settings(lens).auto_annotate:
                work += self.rating_work(lens, parsed, raters)
        return work

    def spared(self, cells: Sequence[Cell], vectors: Collection[Cell]) -> set[Cell]:
        """The shards that are not embedded: every lens has a cascade in force that scores them without, or had one
        when they were scored and waits for a person to calibrate it anew. Those that have vectors, and those that were
        rated, which classifiers learn from, are not spared."""
        lenses = self.graph.score_lenses
        if not lenses or any(self.graph.settings(lens).cascade is None for lens in lenses):
            return set()
        rated = {shard for lens in lenses for shard in self.lake.cells(ANNOTATIONS.of(lens))["shard"]}
        bare = {cell for cell in cells if cell not in vectors and cell.shard not in rated}
        if all(self.has_cascade(lens) for lens in lenses):
            return bare
        before = [set(self.lake.cells(CASCADE_AUDITS.of(lens))["shard"]) for lens in lenses]
        return {cell for cell in bare if all(cell.shard in scored for scored in before)}

    def has_cascade(self, lens: str) -> bool:
        """Whether the lens has a cascade in force."""
        promotion = promoted(self.lake, lens)
        return promotion is not None and cascade_in_force(self.lake, lens, promotion.classifier) is not None

    def lens_work(self, lens: str, ready: Sequence[str]) -> list[Work]:
        """What of a score lens can be done over shards that have their vectors: scores, then cut-off, then filter."""
        promotion = promoted(self.lake, lens)
        if promotion is None or not ready:
            return []
        classifier = find_classifier(self.lake, lens, promotion.classifier)
        if not can_score(classifier, self.encoder):
            return []  # a classifier of another encoder is for a person to replace
        cells = [Cell(shard, lens) for shard in ready]
        settings = self.graph.settings(lens).cascade
        wanted = wanted_with_cascade(self.lake, self.encoder, settings, classifier, cells)
        there = self.have(scores_target(lens, promotion.classifier), cells)
        if stale_cells(wanted, there):
            return self.as_work("score_documents", wanted, there, self.lake.version(SCORES.of(lens)))
        cutoff, project = current_cutoff(self.lake, lens), self.graph.project
        rule = Rule.of(self.graph.settings(lens))
        in_force = cutoff is not None and (cutoff.classifier, cutoff.policy) == (promotion.classifier, rule.text)
        if cutoff is None or not in_force or cutoff_has_drifted(self.lake, cutoff, rule, project):
            # What else the filter reads, e.g. the population, is made by work of its own: a cut-off waits for it.
            _, waiting = ranking_versions(self.lake, Ranking(lens, promotion.classifier, rule), project, cells)
            if waiting or self.busy("set_cutoff", lens):
                return []
            everything = Rectangle(lens, ready[0], ready[-1], len(ready), len(ready))
            summarised = self.lake.version(SCORE_SKETCHES.of(lens))
            target = content_id(promotion.classifier, rule.text, self.lake.version(CUTOFFS), summarised)
            return [Work("set_cutoff", everything, target, partition_key=lens)]
        filtered, _ = filtered_versions(self.lake, cutoff, project, cells)
        table = FILTERED.of(lens)
        return self.as_work("filter_documents", filtered, self.have(Target(table), cells), self.lake.version(table))

    def deduplication_work(self, documents: Mapping[Cell, str]) -> list[Work]:
        """What can be signed and judged of shards that have their documents."""
        lake, project = self.lake, self.graph.project
        if not judging_tables(project.deduplication):
            return []
        signatures = wanted_signatures(project.deduplication, documents)
        signed = self.have(Target(MINHASHES), list(signatures))
        work = self.as_work("sign_documents", signatures, signed, lake.version(MINHASHES))
        cells = judgeable(lake, project, documents)
        answers = wanted_answers(lake, project, {cell: documents[cell] for cell in cells})
        there = present_answers(lake, project.deduplication, cells)
        made = sum(lake.version(table) or 0 for table in judging_tables(project.deduplication))
        return work + self.as_work("deduplicate", answers, there, made)

    def rating_work(self, lens: str, documents: Mapping[Cell, str], raters: Callable[[str], Rater]) -> list[Work]:
        """What the lens's raters have not rated of the shards' samples; ratings made elsewhere are never asked for."""
        settings = self.graph.settings(lens)
        version = self.graph.lenses[lens].version
        cells = {Cell(cell.shard, lens): made for cell, made in documents.items()}
        inside: dict[Cell, str] = {}
        if settings.population:
            inside = population_versions(self.lake, settings.population, self.graph.project, list(cells))
            cells = {cell: cells[cell] for cell in inside}
        wanted, there = dict.fromkeys(cells, ""), dict.fromkeys(cells, "")
        for rater in [raters(name).id for name in self.graph.asked_raters(lens)]:
            known = self.have(annotations_target(lens, rater), list(cells))
            for cell, made in cells.items():
                wanted[cell] += annotations_version(
                    made, version, rater, settings.sample_per_shard, settings.sample_seed, inside.get(cell)
                )
                there[cell] += str(base_version(known.get(cell)))
        job = RATING_JOBS[self.graph.lenses[lens].kind]
        return self.as_work(job, wanted, there, self.lake.version(ANNOTATIONS.of(lens)))

    def attribute_work(self, attribute: str, shards: Sequence[str]) -> list[Work]:
        """What of an attribute can be made over shards that have their documents; nothing that asks a rater."""
        cells = [Cell(shard, attribute) for shard in shards]
        wanted = wanted_attribute(self.lake, self.graph.project, attribute, cells)
        there = self.have(wanted.target, cells) if wanted.target else {}
        job = ATTRIBUTE_JOBS[attribute in self.graph.derived_attributes]
        return self.as_work(job, wanted.versions, there, self.lake.version(ATTRIBUTE_SCORES.of(attribute)))

    def have(self, target: Target, cells: Sequence[Cell]) -> dict[Cell, str | None]:
        return {cell: version for cell, (version, _) in have(self.lake, target, cells).items()}

    def as_work(
        self, job: str, wanted: Mapping[Cell, str], there: Mapping[Cell, str | None], table_version: int | None
    ) -> list[Work]:
        """The stretches of stale cells, each a run; `wanted` has every cell that a run could work on."""
        busy = {lens: self.busy(job, lens) for lens in {cell.lens for cell in wanted}}
        free = {cell: version for cell, version in wanted.items() if cell.shard not in busy[cell.lens]}
        position = {shard: index for index, shard in enumerate(self.shards)}

        def target(stretch: Rectangle) -> str:
            inside = self.shards[position[stretch.first] : position[stretch.last] + 1]
            return content_id([wanted.get(Cell(shard, stretch.lens)) for shard in inside], table_version)

        stretches = plan(free, there, self.shards, ready={cell.shard for cell in free})
        return [Work(job, stretch, target(stretch)) for stretch in stretches]
