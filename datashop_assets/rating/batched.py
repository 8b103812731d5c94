"""The prompted rater over a model that answers many questions at once, hours later, and cheaper.

What belongs here: rounds of questions: all first attempts together, then what has to be asked again. What does not:
what is asked and how an answer is read (`prompted.py`), sending batches (`resources/raters/openai_batch.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from datashop_assets.project import RaterSettings
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.prompted import Part, PromptedRater, Reading, _raw, read
from datashop_assets.rating.questions import Question, QuestionError, Reply
from datashop_assets.seams import AnswerCache, ChatModel

# Documents that wait for their answers together. A provider takes its time for a batch of whatever size, so that many
# at once are better; some 5 kB each, they need 100 MB.
TOGETHER = 20_000


class BatchModel(ChatModel, Protocol):
    """A chat model that can also be asked many questions at once."""

    def ask_all(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Reply | QuestionError]]:
        """Answer every question, in any order, each distinct one once. Raises what `start` raises.

        What is asked before is not asked again where a process was killed while it waited: an answer counts as
        received once the next one is asked of the iterator.
        """
        ...


@dataclass
class _Open:
    """A part of a document on its way through its attempts; `part` once it is done."""

    questions: Sequence[Question]
    part: Part | None = None
    attempt: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    requests: int = 0

    @property
    def question(self) -> Question:
        return self.questions[self.attempt]

    def close(self, reading: Reading, raw: str, cached: int = 0) -> None:
        self.part = Part(reading, raw, self.input_tokens, self.output_tokens, requests=self.requests, cached=cached)


class BatchedRater(PromptedRater):
    """Behind `seams.Rater`. Judges as a PromptedRater of the same model and settings does, under the same id.

    TOGETHER documents are asked about at once and come back together, so that more is read ahead of a kill than
    elsewhere; what was sent and not yet received is found again. A judgement's `seconds` are zero: none of them is
    this document's.
    """

    def __init__(self, model: BatchModel, settings: RaterSettings, cache: AnswerCache | None = None) -> None:
        super().__init__(model, settings, cache)
        self.batches = model

    def _rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:
        waiting = iter(documents)
        while together := list(islice(waiting, TOGETHER)):
            opened = [[self._opened(lens, part) for part in self._parts(lens, document)] for document in together]
            self._ask_in_rounds(lens, [each for parts in opened for each in parts])
            for parts in opened:
                yield self._judgement(lens, [_finished(each.part) for each in parts])

    def _opened(self, lens: Lens, document: Document) -> _Open:
        """The part, done where its answer is kept already or where it cannot be asked about."""
        try:
            opened = _Open(self._questions(lens, document))
        except QuestionError as error:
            return _Open((), Part(Reading(error.reason), str(error)))
        kept = None if self.cache is None else self.cache.get(self._key(opened.questions[0]))
        if kept is not None and (reading := read(kept, lens)).reason is None:
            opened.close(reading, _raw(kept), cached=1)
        return opened

    def _ask_in_rounds(self, lens: Lens, every: Sequence[_Open]) -> None:
        while asked := [each for each in every if each.part is None]:
            together: dict[str, list[_Open]] = {}
            for each in asked:
                together.setdefault(each.question.digest, []).append(each)
            self.model.start()
            for question, answer in self.batches.ask_all([group[0].question for group in together.values()]):
                for number, each in enumerate(together.pop(question.digest)):
                    self._take(lens, each, answer, paid=number == 0)
            if together:
                raise RuntimeError(f"{len(together)} of {len(asked)} questions were not answered by {self.model.id}")

    def _take(self, lens: Lens, each: _Open, answer: Reply | QuestionError, paid: bool) -> None:
        """One answer. Where several documents ask the same, the first has paid for it."""
        if isinstance(answer, QuestionError):
            each.requests += paid
            each.close(Reading(answer.reason), str(answer))
            return
        if paid:
            each.requests += 1 + answer.retries
            each.input_tokens += answer.input_tokens
            each.output_tokens += answer.output_tokens
        reading = read(answer, lens)
        if reading.reason is None and self.cache is not None and paid:
            self.cache.put(self._key(each.questions[0]), answer)
        if reading.reason is None or each.attempt + 1 == len(each.questions):
            each.close(reading, _raw(answer), cached=0 if paid else 1)
        else:
            each.attempt += 1


def _finished(part: Part | None) -> Future[Part]:
    future: Future[Part] = Future()
    if part is None:
        future.set_exception(RuntimeError("a part of a document was left unanswered"))
    else:
        future.set_result(part)
    return future
