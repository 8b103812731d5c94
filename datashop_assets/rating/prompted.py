"""The prompted rater: asks a chat model about documents and reads its answers.

What belongs here: the way from a document to its judgement: parts, questions, cache, asking again, one score of many,
and how much is in flight. What does not: what is asked (`rendering.py`), how an answer is read (`answers.py`,
`expected_score.py`), how a text is divided (`chunks.py`), reaching a model (`resources/raters/`).
"""

import hashlib
import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from datashop_assets.project import RaterSettings
from datashop_assets.rating.answers import answer_schema, parse_answer
from datashop_assets.rating.chunks import aggregate, chunks
from datashop_assets.rating.expected_score import expected_score, levels
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.questions import Question, QuestionError, Reply
from datashop_assets.rating.rendering import messages
from datashop_assets.rating.usage import Ration
from datashop_assets.seams import AnswerCache, ChatModel

# Raised by hand when the same model, lens and settings would give other judgements.
RECIPE = 1
SEED = 1
# Each further attempt is warmer by this much: at temperature 0 a model would repeat the same unreadable answer.
WARMER = 0.3
WARMEST = 2.0  # what OpenAI's API takes at most
# Questions that are begun or wait, in multiples of the slots. Behind an answer that takes four times as long as the
# others every slot still has work; more would only ask further ahead of what is kept.
LOOK_AHEAD = 4


@dataclass(frozen=True)
class Reading:
    """What one reply says: a score with its criteria, or labels, or the reason of its failure."""

    reason: str | None = None
    score: float | None = None
    criteria: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] | None = None
    rationale: str | None = None
    confidence: float | None = None


@dataclass(frozen=True)
class Part:
    """One judged part of a document, and what it took."""

    reading: Reading
    raw: str
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float = 0.0
    requests: int = 0
    cached: int = 0
    retries: int = 0


class NotBegunError(RuntimeError):
    """A document that was not asked about because the budget had ended."""


class PromptedRater:
    """Behind `seams.Rater`, for every chat model. Without a cache every question is asked.

    An answer is kept under all that determines it: model, messages, schema, levels, sampling and `settings.answers`;
    only one that gives a score or labels is kept. The cache is looked into once, before the first attempt; every
    further attempt really generates. What succeeds at the third is kept under the first one's question, from which the
    others follow: it costs nothing again, and `attempts` decides only how long an answer is sought, not which it is.
    `settings` other than the sampling and `attempts` are the model's business.

    Reasons of failed judgements: those of `parse_answer`, `no_score_tokens`, `refused`, `cut_off`, and those of
    `rendering.messages` and of the model's QuestionErrors. Not asked about: `empty_document`, `too_short`.
    """

    def __init__(self, model: ChatModel, settings: RaterSettings, cache: AnswerCache | None = None) -> None:
        self.model = model
        self.settings = settings
        self.cache = cache

    @cached_property
    def id(self) -> str:
        """Content id of the model, of how it is sampled, and of `settings.answers`, another of which makes another
        rater with nothing rated yet. Where it is served, with how many questions in flight, at which price and within
        which budget does not count."""
        settings = self.settings
        content = [RECIPE, self.model.id, settings.temperature, settings.top_p, settings.max_tokens, settings.attempts]
        content += [settings.answers] if settings.answers else []
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
        name = re.sub(r"-[0-9a-f]{8,}$", "", self.model.id)
        return f"{re.sub(r'[^A-Za-z0-9.-]+', '_', name)}-{digest}"

    def rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:
        """Judge the documents with `model.parallel` questions in flight, in order, each as soon as those before it are
        done. The documents are read as far as LOOK_AHEAD asks.

        Documents that are a Ration are begun only while it allows that: where its bound on tokens or cost is reached,
        the judgements end after those documents of which something was asked by then, `model.parallel` at most.

        The model is started before its first question, and never where the cache answers all. Closing the iterator
        waits for the questions that were begun, so that their answers are kept, and begins no other. Raises
        PermanentError where the lens cannot be asked in its mode, LensError where its target is not described, and
        whatever the model raises but QuestionErrors, after the judgements before that document were given.
        """
        lens.require_description()
        if lens.mode == "expected_score":
            levels(lens)
        return self._rate(lens, documents)

    def _rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:
        most = LOOK_AHEAD * self.model.parallel
        run = _Run(self.model, documents if isinstance(documents, Ration) else None)
        pool = ThreadPoolExecutor(self.model.parallel, thread_name_prefix="rater")
        waiting: deque[Judgement | list[Future[Part]]] = deque()
        ahead = 0  # parts that wait, and documents without any
        try:
            stream = enumerate(documents)
            while True:
                while ahead < most:
                    if (given := next(stream, None)) is None:
                        break
                    number, document = given
                    parts = self._divided(lens, document)
                    if isinstance(parts, Judgement):
                        waiting.append(parts)
                    else:
                        waiting.append([pool.submit(self._part, lens, part, run, number) for part in parts])
                    ahead += _weight(waiting[-1])
                if not waiting:
                    return
                asked = waiting.popleft()
                ahead -= _weight(asked)
                try:
                    judgement = (
                        asked if isinstance(asked, Judgement) else judgement_of(lens, [p.result() for p in asked])
                    )
                except NotBegunError:
                    return
                yield judgement
        finally:
            run.stop()
            pool.shutdown(wait=True, cancel_futures=True)

    def _divided(self, lens: Lens, document: Document) -> Judgement | list[Document]:
        """What of the document is asked about, or the judgement of one that is skipped. A structured record is never
        divided."""
        if lens.is_too_short(document.text):
            return Judgement(None, "too_short", chunks=0)
        if lens.input_fields:
            # A field that is missing is not empty: rendering says which one it is.
            given = [document.fields.get(name, "missing") for name in lens.input_fields]
            parts = [document] if any(value.strip() if isinstance(value, str) else value for value in given) else []
        else:
            texts = chunks(lens.view(document.text), lens.chunking, self.model.token_spans)
            parts = [replace(document, text=text) for text in texts]
        return parts or Judgement(None, "empty_document", chunks=0)

    def _part(self, lens: Lens, document: Document, run: "_Run", number: int) -> Part:
        begun = time.perf_counter()
        try:
            questions = self._questions(lens, document)
        except QuestionError as error:
            return Part(Reading(error.reason), str(error), seconds=time.perf_counter() - begun)
        key = self._key(questions[0])
        kept = self.cache.get(key) if self.cache is not None else None
        if kept is not None and (reading := read(kept, lens)).reason is None:
            return Part(reading, raw_of(kept), seconds=time.perf_counter() - begun, cached=1)
        run.begin(number)
        took = Took()
        reading, raw = Reading("unparsable_answer"), ""
        for question in questions:
            run.ready()
            try:
                reply = self.model.ask(question)
            except QuestionError as error:
                # The client has asked again what may pass by itself.
                run.saw(took.add(error))
                reading, raw = Reading(error.reason), str(error)
                break
            run.saw(took.add(reply))
            reading, raw = read(reply, lens), raw_of(reply)
            if reading.reason is None:
                if self.cache is not None:
                    self.cache.put(key, reply)
                break
        return took.part(reading, raw, time.perf_counter() - begun)

    def _questions(self, lens: Lens, document: Document) -> list[Question]:
        """The question of every attempt. Probabilities are asked for once: they would be the same again."""
        said = tuple(messages(lens, document))
        if lens.mode == "expected_score":
            # At temperature 1 the model's own probabilities come back from servers that apply it and from those that
            # do not.
            return [Question(said, None, levels(lens), max_tokens=1, temperature=1.0, top_p=1.0, seed=SEED)]
        settings = self.settings
        schema = answer_schema(lens, lens.mode)
        warmest = max(WARMEST, settings.temperature)
        return [
            Question(
                said,
                schema,
                (),
                settings.max_tokens,
                min(settings.temperature + WARMER * attempt, warmest),
                settings.top_p,
                SEED + attempt,
            )
            for attempt in range(settings.attempts)
        ]

    def _key(self, question: Question) -> str:
        content = [self.model.id, question.digest, self.settings.answers]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@dataclass
class Took:
    """What the attempts at one part of a document took, so far."""

    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0
    retries: int = 0

    def add(self, answer: Reply | QuestionError) -> Reply | QuestionError:
        """Count one attempt, whether it was answered or not."""
        sent = 1 + answer.retries if isinstance(answer, Reply) else answer.requests
        self.requests += sent
        self.retries += max(0, sent - 1)
        self.input_tokens += answer.input_tokens
        self.output_tokens += answer.output_tokens
        return answer

    def part(self, reading: Reading, raw: str, seconds: float = 0.0, cached: int = 0) -> Part:
        """The part that this was spent on."""
        tokens = (self.input_tokens, self.output_tokens)
        return Part(reading, raw, *tokens, seconds, self.requests, cached, self.retries)


class _Run:
    """The model during one rating: started before the first question, not asked once the rating has ended."""

    def __init__(self, model: ChatModel, ration: Ration | None) -> None:
        self._model = model
        self._ration = ration
        self._starting = threading.Lock()
        self._started: Future[None] | None = None
        self._stopped = False

    def begin(self, number: int) -> None:
        """Raises NotBegunError where the document of this number may not be asked about any more."""
        if self._ration is not None and not self._ration.may_begin(number):
            raise NotBegunError

    def saw(self, answer: Reply | QuestionError) -> None:
        if self._ration is not None:
            self._ration.see(answer.input_tokens, answer.output_tokens)

    def ready(self) -> None:
        """Return when the model can be asked; raises what its start raised, to every question alike."""
        if self._stopped:
            raise CancelledError
        with self._starting:
            if self._started is None:
                self._started = Future()
                try:
                    self._model.start()
                except BaseException as error:
                    self._started.set_exception(error)
                    raise
                self._started.set_result(None)
        self._started.result()

    def stop(self) -> None:
        self._stopped = True


def _weight(waiting: Judgement | list[Future[Part]]) -> int:
    return 1 if isinstance(waiting, Judgement) else len(waiting)


def judgement_of(lens: Lens, parts: Sequence[Part]) -> Judgement:
    """One judgement of all parts: a failed part fails it, for a score of the others would be of another text."""
    readings = [part.reading for part in parts]
    reason = next((reading.reason for reading in readings if reading.reason), None)
    rationales = [reading.rationale for reading in readings if reading.rationale]
    raw = parts[0].raw if len(parts) == 1 else json.dumps([part.raw for part in parts], ensure_ascii=False)
    judged = Judgement(
        None,
        reason or "unparsable_answer",
        _storable("\n\n".join(rationales)) or None,
        _storable(raw),
        sum(part.input_tokens for part in parts),
        sum(part.output_tokens for part in parts),
        sum(part.seconds for part in parts),
        chunks=len(parts),
        requests=sum(part.requests for part in parts),
        cached=sum(part.cached for part in parts),
        retries=sum(part.retries for part in parts),
    )
    return judged if reason else replace(judged, reason=None, **_together(lens, readings))


def read(reply: Reply, lens: Lens) -> Reading:
    """What a reply says through the lens in its mode; a reply that was refused or cut off says nothing."""
    if reply.finish == "refused":
        return Reading("refused")
    if lens.mode == "expected_score":
        expected = expected_score(reply.level_logprobs or {}, lens)
        if expected is None:
            return Reading("no_score_tokens")
        criteria = {lens.overall.name: expected.overall}
        return Reading(score=expected.score, criteria=criteria, confidence=expected.confidence)
    answer = parse_answer(reply.text, lens, lens.mode)
    if reply.finish == "length":
        # "Score: 1" may have been on its way to "Score: 10".
        return Reading("cut_off", rationale=answer.rationale)
    if answer.fault:
        return Reading(answer.fault, rationale=answer.rationale)
    if answer.labels is not None:
        return Reading(labels=answer.labels, rationale=answer.rationale)
    score = lens.stored_score(answer.criteria[lens.overall.name])
    return Reading(score=score, criteria=answer.criteria, rationale=answer.rationale)


def _together(lens: Lens, readings: Sequence[Reading]) -> dict[str, Any]:
    """The parts' results as one: scores by the lens's aggregation, every label of any part, the least confidence."""
    confidences = [reading.confidence for reading in readings if reading.confidence is not None]
    together: dict[str, Any] = {"confidence": min(confidences, default=None)}
    if lens.kind == "label":
        found = [reading.labels or {} for reading in readings]
        named = {name: [label for labels in found for label in labels[name]] for name in found[0]}
        return together | {"labels": {name: tuple(dict.fromkeys(labels)) for name, labels in named.items()}}
    names = readings[0].criteria
    criteria = {name: aggregate([reading.criteria[name] for reading in readings], lens.chunking) for name in names}
    scores = [reading.score for reading in readings if reading.score is not None]
    return together | {"score": aggregate(scores, lens.chunking), "criteria": criteria}


def raw_of(reply: Reply) -> str:
    """What a reply said, for people to look at."""
    if reply.level_logprobs is None:
        return reply.text
    return json.dumps({"text": reply.text, "level_logprobs": dict(reply.level_logprobs)}, ensure_ascii=False)


def _storable(text: str) -> str:
    """The text without lone surrogates, which JSON can spell and no table can hold."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)
