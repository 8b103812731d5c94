"""What is stale in the whole graph, as stretches of work: wanted against have, stage by stage.

What belongs here: which versions each stage wants, from the project and the tables, and what waits for what. What does
not: how stale cells become rectangles (`lineage.plan`), what work is and in which order it is asked for (`work.py`),
which cells runs work on already (`runs.py`), how work becomes runs (`sensors.py`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from datashop_assets.attribute_settings import in_order
from datashop_assets.attributes.wanted import wanted_attribute
from datashop_assets.automation.jobs import deduplication_steps
from datashop_assets.automation.pauses import Paused
from datashop_assets.automation.work import (
    Busy,
    Largest,
    Note,
    Outlook,
    Reason,
    Waiting,
    anything,
    by_crawl,
    nobody,
    nothing_noted,
)
from datashop_assets.automation.work import Work as Work
from datashop_assets.cellwork import Target, have
from datashop_assets.classifier.registry import find_classifier, promoted
from datashop_assets.corpus.documents import documents_version
from datashop_assets.corpus.registry import active_shards
from datashop_assets.deduplication.inputs import judging_tables
from datashop_assets.deduplication.ready import judgeable, present_answers, wanted_answers, wanted_signatures
from datashop_assets.deduplication.tables import MINHASHES
from datashop_assets.filtering.drift import cutoff_has_drifted, cutoff_is_settled
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
from datashop_assets.one_look import OneLook
from datashop_assets.rating.quality import annotations_target
from datashop_assets.records import ANNOTATIONS, CUTOFFS, DOCUMENTS, EMBEDDINGS, FILTERED, SCORES, Cell, TableSpec
from datashop_assets.scoring.by_cascade import wanted_with_cascade
from datashop_assets.scoring.cascades import cascade_in_force
from datashop_assets.scoring.current import current_scores
from datashop_assets.scoring.state import can_score, scores_target
from datashop_assets.scoring.tables import ATTRIBUTE_SCORES, CASCADE_AUDITS
from datashop_assets.seams import Lake, PermanentError, Rater
from resources.lake import LakeError

# The jobs that work is done by; `jobs.py` says what is in them.
FREE_JOBS = ("parse_and_embed_shards", "score_documents", "set_cutoff", "filter_documents")
# Of projects with a cascade, for shards that it spares the encoder.
CASCADE_JOB = "parse_shards"
# Of attributes that are measured on documents, and of those that are made of other scores.
ATTRIBUTE_JOBS = ("measure_attributes", "derive_attributes")
# Those that spend on raters, by the kind of lens: only for a lens that has `auto_annotate` in the project file.
RATING_JOBS = {"score": "rate_documents", "label": "label_documents"}

# A cut-off is decided though so small a share of the shards has no scores yet.
UNSCORED = 0.01
# Nor does it wait for shards that failed twice, the second time among 16 at most, up to this share (one at least): of 8
# shards one that cannot be scored holds up no lens. Where more fail, what is scored may be no sample: a person looks.
FAILING = 0.1
# What keeps one lens or attribute from being planned and says nothing of the others: a classifier or a rater's model
# that is not there, a table that is not as declared. A lake that cannot be read at all stops the look before these.
FAULTS = (LookupError, PermanentError, LakeError)


def reconciled_jobs(graph: Graph) -> list[str]:
    """The jobs that `stale_work` can ask for in this project."""
    spending = {RATING_JOBS[graph.lenses[lens].kind] for lens in graph.lenses if graph.settings(lens).auto_annotate}
    measured = [ATTRIBUTE_JOBS[0]] if graph.measured_attributes else []
    derived = [ATTRIBUTE_JOBS[1]] if graph.derived_attributes else []
    free = [job for job in FREE_JOBS if job == FREE_JOBS[0] or graph.score_lenses]
    free += [CASCADE_JOB] if graph.cascaded else []
    return [*free, *deduplication_steps(graph), *measured, *derived, *sorted(spending)]


def stale_work(
    lake: Lake,
    graph: Graph,
    encoder: str,
    shards: Sequence[str],
    *,
    raters: Callable[[str], Rater] | None = None,
    busy: Busy = nobody,
    largest: Largest = anything,
) -> list[Work]:
    """The work of `outlook`."""
    return list(outlook(lake, graph, encoder, shards, raters=raters, busy=busy, largest=largest).work)


def outlook(
    lake: Lake,
    graph: Graph,
    encoder: str,
    shards: Sequence[str],
    *,
    raters: Callable[[str], Rater] | None = None,
    busy: Busy = nobody,
    largest: Largest = anything,
    note: Note = nothing_noted,
) -> Outlook:
    """Everything that can be brought up to date now without promoting anything, and without spending on raters but for
    lenses that have `auto_annotate` (where `raters` are given); and what is stale and has to wait.

    `shards` are the partitions in Dagster's order; those that this lake does not know, or that rest, are passed over.
    Work whose inputs are still stale is left for a later look, so that a run never finds its inputs missing, and no
    stretch reaches over a shard that is not ready or `busy`. Nothing is asked for that is paused, in the project file
    or by a record (`pauses.py`). A `lake` that is one look already is looked at no further. `note` is told of each job.
    """
    once = lake if isinstance(lake, OneLook) else OneLook(lake)
    look = _Look(once, graph, encoder, shards, busy, largest, Paused.now(once, graph.project.automation), note, [])
    newest_first = graph.project.automation.order == "newest_first"
    return Outlook(by_crawl(look.work(raters), shards, newest_first=newest_first), look.waiting)


@dataclass(frozen=True)
class _Look:
    """`waiting` grows as the stages are looked at."""

    lake: Lake
    graph: Graph
    encoder: str
    shards: Sequence[str]
    busy: Busy
    largest: Largest
    paused: Paused
    note: Note
    waiting: list[Waiting]

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
            work += self.as_work(job, {cell: wanted[cell] for cell in cells}, there, table)
        ready = [cell.shard for cell in wanted if there[cell] == wanted[cell]]
        parsed = {cell: version for cell, version in documents.items() if have_documents.get(cell) == version}
        for lens in self.graph.score_lenses:
            without = spared if spared and not self.has_cascade(lens) else ()
            mine = [shard for shard in ready if Cell(shard) not in without]
            self.wait("score_documents", lens, "upstream", len(wanted) - len(mine))
            scoring = partial(self.lens_work, lens, mine, [cell.shard for cell in parsed])
            work += self.guarded("score_documents", lens, len(mine), scoring)
        work += self.deduplication_work(parsed)
        for attribute in in_order(self.graph.project.attributes):
            job = ATTRIBUTE_JOBS[attribute in self.graph.derived_attributes]
            making = partial(self.attribute_work, attribute, [cell.shard for cell in parsed])
            work += self.guarded(job, attribute, len(parsed), making)
        for lens in self.graph.lenses:
            if raters is not None and self.graph.settings(lens).auto_annotate:
                rating = partial(self.rating_work, lens, parsed, raters)
                work += self.guarded(RATING_JOBS[self.graph.lenses[lens].kind], lens, len(parsed), rating)
        return work

    def guarded(self, job: str, lens: str, cells: int, plan_it: Callable[[], list[Work]]) -> list[Work]:
        """The work of one lens or attribute; where it cannot be planned, the fault as what its cells wait for, so that
        all else goes on."""
        try:
            return plan_it()
        except FAULTS as error:
            return self.wait(job, lens, "fault", max(1, cells), f"{type(error).__name__}: {error}")

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

    def lens_work(self, lens: str, ready: Sequence[str], parsed: Sequence[str]) -> list[Work]:
        """What of a score lens can be done over shards that have their vectors: scores, then cut-off, then filter.

        A classifier of another encoder scores nothing; its scores of the parsed documents, where they are there, are
        cut and filtered as any, so that rolling back to it does not take its encoder.
        """
        promotion = promoted(self.lake, lens)
        if promotion is None:
            return self.wait("score_documents", lens, "not promoted", len(ready))
        classifier = find_classifier(self.lake, lens, promotion.classifier)
        if not can_score(classifier, self.encoder):  # for a person to replace
            cells = list(current_scores(self.lake, classifier, [Cell(shard, lens) for shard in parsed]))
            self.wait("score_documents", lens, "other encoder", len(parsed) - len(cells))
            return self.filter_work(lens, promotion.classifier, cells, ())
        cells = [Cell(shard, lens) for shard in ready]
        settings = self.graph.settings(lens).cascade
        wanted = wanted_with_cascade(self.lake, self.encoder, settings, classifier, cells)
        there = self.have(scores_target(lens, promotion.classifier), cells)
        unscored = set(stale_cells(wanted, there))
        work = self.as_work("score_documents", wanted, there, SCORES.of(lens))
        return work + self.filter_work(lens, promotion.classifier, cells, unscored)

    def filter_work(self, lens: str, classifier: str, cells: Sequence[Cell], unscored: Collection[Cell]) -> list[Work]:
        """The cut-off, where it has to be decided and (almost) everything has its scores; else what it filters."""
        scored = [cell for cell in cells if cell not in unscored]
        if not scored:
            return self.wait("filter_documents", lens, "cut-off", len(unscored))
        cutoff, project, rule = current_cutoff(self.lake, lens), self.graph.project, Rule.of(self.graph.settings(lens))
        whole = self.is_whole("score_documents", lens, cells, unscored)
        in_force = cutoff is not None and (cutoff.classifier, cutoff.policy) == (classifier, rule.text)
        if cutoff is None or not in_force or (whole and cutoff_has_drifted(self.lake, cutoff, rule, project)):
            if not whole:
                return self.wait("filter_documents", lens, "cut-off", len(cells))
            # What else the filter reads, e.g. the population, is made by work of its own: a cut-off waits for it.
            _, lacking = ranking_versions(self.lake, Ranking(lens, classifier, rule), project, scored)
            if lacking:
                return self.wait("set_cutoff", lens, "upstream", 1, str(next(iter(lacking.values()))))
            return self.cutoff_work(lens, content_id(classifier, rule.text), scored)
        wanted, lacking = filtered_versions(self.lake, cutoff, project, scored)
        detail = str(next(iter(lacking.values()), ""))
        self.wait("filter_documents", lens, "upstream", len(lacking), detail)
        there = self.have(Target(FILTERED.of(lens)), scored)
        unfiltered = {*lacking, *stale_cells(wanted, there)}
        filtered = self.is_whole("filter_documents", lens, cells, unfiltered)
        if whole and filtered and not cutoff_is_settled(self.lake, cutoff):
            # Filtering has made the exact scores that the cut-off lacked.
            return self.cutoff_work(lens, content_id(classifier, rule.text, "settle", cutoff.cutoff), scored)
        return self.as_work("filter_documents", wanted, there, FILTERED.of(lens))

    def is_whole(self, job: str, lens: str, cells: Sequence[Cell], undone: Collection[Cell]) -> bool:
        """Whether the job has left so few cells undone that a cut-off need not wait for them."""
        alone = {shard for shard, most in self.largest(job, lens).items() if most == 1}
        awaited = sum(cell.shard not in alone for cell in undone)
        failing = len(undone) - awaited
        return awaited <= UNSCORED * len(cells) and failing <= max(1, FAILING * len(cells))

    def cutoff_work(self, lens: str, asked: str, cells: Sequence[Cell]) -> list[Work]:
        """One run over the lens: its stretch is everything that has scores."""
        if lens in self.paused:
            return self.wait("set_cutoff", lens, "paused", 1)
        if self.busy("set_cutoff", lens):
            return self.wait("set_cutoff", lens, "busy", 1, shards=[cell.shard for cell in cells])
        everything = Rectangle(lens, cells[0].shard, cells[-1].shard, len(cells), len(cells))
        target = content_id(asked, self.lake.version(CUTOFFS), self.lake.version(SCORE_SKETCHES.of(lens)))
        return [Work("set_cutoff", everything, target, partition_key=lens)]

    def deduplication_work(self, documents: Mapping[Cell, str]) -> list[Work]:
        """What can be signed and judged of shards that have their documents."""
        lake, project = self.lake, self.graph.project
        if not judging_tables(project.deduplication):
            return []
        signatures = wanted_signatures(project.deduplication, documents)
        signed = self.have(Target(MINHASHES), list(signatures))
        work = self.as_work("sign_documents", signatures, signed, MINHASHES)
        cells = judgeable(lake, project, documents)
        self.wait("deduplicate", None, "upstream", len(documents) - len(cells), "earlier shards have no signatures yet")
        answers = wanted_answers(lake, project, {cell: documents[cell] for cell in cells})
        there = present_answers(lake, project.deduplication, cells)
        tables = judging_tables(project.deduplication)
        return work + self.as_work("deduplicate", answers, there, *tables)

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
        return self.as_work(job, wanted, there, ANNOTATIONS.of(lens))

    def attribute_work(self, attribute: str, shards: Sequence[str]) -> list[Work]:
        """What of an attribute can be made over shards that have their documents; nothing that asks a rater."""
        cells = [Cell(shard, attribute) for shard in shards]
        wanted = wanted_attribute(self.lake, self.graph.project, attribute, cells)
        there = self.have(wanted.target, cells) if wanted.target else {}
        job = ATTRIBUTE_JOBS[attribute in self.graph.derived_attributes]
        return self.as_work(job, wanted.versions, there, ATTRIBUTE_SCORES.of(attribute))

    def have(self, target: Target, cells: Sequence[Cell]) -> dict[Cell, str | None]:
        return {cell: version for cell, (version, _) in have(self.lake, target, cells).items()}

    def wait(
        self, job: str, lens: str | None, reason: Reason, cells: int, detail: str = "", shards: Sequence[str] = ()
    ) -> list[Work]:
        """Note that so many cells wait. No work."""
        if cells:
            self.waiting.append(Waiting(job, lens, reason, cells, detail, tuple(shards)))
        return []

    def as_work(
        self, job: str, wanted: Mapping[Cell, str], there: Mapping[Cell, str | None], *tables: TableSpec
    ) -> list[Work]:
        """The stretches of stale cells, each a run; `wanted` has every cell that a run could work on. Those made before
        stand in the `tables`."""
        stale = stale_cells(wanted, there)
        self.note(job, wanted.keys(), stale)
        if not stale:
            return []
        work: list[Work] = []
        version = [self.lake.version(table) for table in tables]
        position = {shard: index for index, shard in enumerate(self.shards)}
        for lens in {cell.lens: None for cell in stale}:
            busy = set(self.busy(job, lens))
            mine = {cell: made for cell, made in wanted.items() if cell.lens == lens}
            free = {cell: made for cell, made in mine.items() if cell.shard not in busy}
            count = sum(cell.lens == lens for cell in stale)
            if lens in self.paused:
                self.wait(job, lens, "paused", count)
                continue
            stretches = plan(
                free,
                there,
                self.shards,
                ready={cell.shard for cell in free},
                newest_first=self.graph.project.automation.order == "newest_first",
                largest=self.largest(job, lens),
            )
            held = [cell.shard for cell in stale if cell.lens == lens and cell.shard in busy]
            self.wait(job, lens, "busy", len(held), shards=held)
            for stretch in stretches:
                inside = self.shards[position[stretch.first] : position[stretch.last] + 1]
                versions = [mine.get(Cell(shard, lens)) for shard in inside]
                work.append(Work(job, stretch, content_id(versions, version)))
        return work
