"""Why was this document kept, or not? Its way through every table, with versions and reasons.

What belongs here: the order of the steps, and what is said of a document that is nowhere. What does not: each step
(`origin.py`, `judgements.py`, `outcome.py`), finding the document's shard (`find.py`).
"""

from datashop_assets.classifier.registry import find_classifier, promoted
from datashop_assets.corpus.registry import registered_shards
from datashop_assets.graph import Graph
from datashop_assets.records import DOCUMENTS, QUARANTINE
from datashop_assets.seams import Lake
from datashop_assets.tracing import find, judgements, origin, outcome
from datashop_assets.tracing.steps import Step, Trace
from datashop_assets.tracing.subject import Subject, read_subject
from datashop_assets.tracing.views import TraceError, View, readable, releases_of

# Documents of one id that are traced: an id is unique in its shard, and equal texts share one over shards.
MOST_TRACED = 5


def why(view: View, now: Lake, graph: Graph, lens: str, document: str, shard: str | None = None) -> list[Trace]:
    """The traces of the documents of this id, one a shard that has it, at most MOST_TRACED.

    `now` is the lake as it is, which knows of all releases. Raises TraceError where the lens does not score or the
    document is nowhere, saying where was looked.
    """
    _require_lens(graph, lens)
    with readable(view.words):
        if shard is not None:
            find.require_shard(view.lake, shard)
        found = find.shards_with(view.lake, document, shard)
        traces = [trace for each in found[:MOST_TRACED] if (trace := _trace(view, now, graph, lens, each, document))]
        repeats = find.quarantined(view.lake, document=document, shard=shard)
    if traces:
        return [_with_repeats(traces[0], repeats), *traces[1:]] if repeats else traces
    if repeats:
        return [_in_quarantine(view, lens, document, repeats)]
    raise TraceError(_nowhere(view, document, shard))


def why_row(view: View, now: Lake, graph: Graph, lens: str, file: str, row: int) -> list[Trace]:
    """The trace of what became of a row of a crawl file (rows count from 0): a document, or a row of the quarantine.
    Raises TraceError as `why` does."""
    _require_lens(graph, lens)
    with readable(view.words):
        place = find.document_at(view.lake, file, row)
        refused = [] if place else find.quarantined(view.lake, file=file, row=row)
    if place:
        return why(view, now, graph, lens, place[1], place[0])
    if refused:
        return [_in_quarantine(view, lens, f"{file} row {row}", refused)]
    raise TraceError(f"no document and no row of the quarantine came from row {row} of {file} ({view.words})")


def _trace(view: View, now: Lake, graph: Graph, lens: str, shard: str, document: str) -> Trace | None:
    of = read_subject(view.lake, graph, lens, shard, document)
    if of is None:
        return None
    records = outcome.cutoffs_of(view.lake, lens)
    wanted = view.release.cutoff if view.release and view.release.lens == lens else None
    record = next((each for each in records if wanted in (None, each.cutoff)), None)
    promotion = promoted(view.lake, lens)
    classifier = record.classifier if record else promotion.classifier if promotion else None
    steps = [origin.shard_step(of), origin.document_step(of), *origin.deduplication_steps(of)]
    steps += [*judgements.rating_steps(of), judgements.curation_step(of)]
    scored = Step("score", "none: the lens has no classifier in force")
    if classifier is not None:
        learnt, scored = _scored(of, classifier)
        steps += learnt
    steps.append(scored)
    if record is None:
        steps.append(Step("cut-off", "the lens has none yet"))
    else:
        steps += [*outcome.condition_steps(of, record), outcome.cutoff_step(of, record, record is records[0])]
    filtered = outcome.filtered_step(of, record)
    releases = [view.release] if view.release else releases_of(now, lens)
    steps += [filtered, outcome.release_step(of, now, [each for each in releases if each.lens == lens])]
    kept = filtered.facts.get("kept")
    verdict = outcome.verdict_words(of, filtered, scored, record)
    return Trace(lens, shard, document, view.words, kept, verdict, tuple(steps))


def _scored(of: Subject, classifier: str) -> tuple[list[Step], Step]:
    """The steps of the classifier, and the score's."""
    steps = [judgements.classifier_step(of, classifier), judgements.promotion_step(of, classifier)]
    try:
        record = find_classifier(of.lake, of.lens, classifier)
    except LookupError as error:
        return steps, Step("score", str(error))
    return [*steps, judgements.embedding_step(of, record.encoder)], judgements.score_step(of, record)


def _with_repeats(trace: Trace, rows: list[dict[str, object]]) -> Trace:
    words = f"{len(rows)} repeats of it are in quarantine, the first from row {rows[0]['row']} of {rows[0]['file']}"
    step = Step("quarantine", words, QUARANTINE.name, None, {"rows": rows})
    return Trace(
        trace.lens,
        trace.shard,
        trace.id,
        trace.as_of,
        trace.kept,
        trace.verdict,
        (*trace.steps[:2], step, *trace.steps[2:]),
    )


def _in_quarantine(view: View, lens: str, name: str, rows: list[dict[str, object]]) -> Trace:
    row = rows[0]
    version = view.lake.version(QUARANTINE)
    steps = [
        Step(
            "quarantine",
            f"{_place(each)}, shard {each['shard']}: {each['reason']}, {each['detail']}",
            QUARANTINE.name,
            version,
            each,
        )
        for each in rows
    ]
    verdict = f"Not kept: it is in quarantine ({row['reason']}), and so no document: nothing after parsing has seen it."
    return Trace(lens, str(row["shard"]), name, view.words, False, verdict, tuple(steps))


def _place(row: dict[str, object]) -> str:
    return f"{row['file']}, as a whole" if row["row"] is None else f"row {row['row']} of {row['file']}"


def _require_lens(graph: Graph, lens: str) -> None:
    if lens not in graph.score_lenses:
        kind = "gives labels and filters nothing" if lens in graph.lenses else "is not enabled in the project file"
        raise TraceError(f"lens {lens!r} {kind}; lenses that filter: {', '.join(graph.score_lenses) or 'none'}")


def _nowhere(view: View, document: str, shard: str | None) -> str:
    cells = view.lake.cells(DOCUMENTS)
    where = f"shard {shard}" if shard else f"any of {len(registered_shards(view.lake))} shards"
    return (
        f"no document has the id {document!r} in {where} ({int(cells['rows'].sum())} documents in the lake, "
        f"{view.words}), and no row of the quarantine names it; "
        "a row that became no document is found by --file and --row"
    )
