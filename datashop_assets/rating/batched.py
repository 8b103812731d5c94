"""The prompted rater over a model that answers many questions at once, hours later, and cheaper.

What belongs here: rounds of questions: all first attempts together, then what has to be asked again. What does not:
what is asked and how an answer is read (`prompted.py`), sending batches (`resources/raters/openai_batch.py`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from datashop_assets.project import RaterSettings
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.prompted import Part, PromptedRater, Reading, Took, judgement_of, raw_of, read
from datashop_assets.rating.questions import Question, QuestionError, Reply
from datashop_assets.seams import AnswerCache, ChatModel

# Documents that wait for their answers together, and the characters of all that is asked of them. A provider takes its
# time for a batch of whatever size, so that many at once are better. 20,000 documents of 5,000 characters took 260 MB,
# and 100 of a million each 290 MB, what is sent included (n = 1 each).
TOGETHER = 20_000
TOGETHER_CHARS = 100_000_000


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
    took: Took = field(default_factory=Took)

    @property
    def question(self) -> Question:
        return self.questions[self.attempt]

    @property
    def chars(self) -> int:
        """Of the messages, which all attempts share."""
        return sum(len(message["content"]) for message in self.questions[0].messages) if self.part is None else 0

    def close(self, reading: Reading, raw: str, cached: int = 0) -> None:
        self.part = self.took.part(reading, raw, cached=cached)

    def finished(self) -> Part:
        if self.part is None:
            raise RuntimeError("a part of a document was left unanswered")
        return self.part


class BatchedRater(PromptedRater):
    """Behind `seams.Rater`. Judges as a PromptedRater of the same model and settings does, under the same id.

    TOGETHER documents, or those with TOGETHER_CHARS characters in their questions, are asked about at once and come
    back together, so that more is read ahead of a kill than elsewhere; what was sent and not yet received is found
    again. For the same reason a bound on tokens or cost ends a run only between such groups: bound the documents. A
    judgement's `seconds` are zero: none of them is this document's.
    """

    def __init__(self, model: BatchModel, settings: RaterSettings, cache: AnswerCache | None = None) -> None:
        super().__init__(model, settings, cache)
        self.batches = model

    def _rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:
        stream = iter(documents)
        # Asked again after each group: a budget may have room again once those that took nothing are counted.
        while together := self._group(lens, stream):
            self._ask_in_rounds(
                lens, [each for parts in together if not isinstance(parts, Judgement) for each in parts]
            )
            for parts in together:
                if isinstance(parts, Judgement):
                    yield parts
                else:
                    yield judgement_of(lens, [each.finished() for each in parts])

    def _group(self, lens: Lens, documents: Iterator[Document]) -> list[Judgement | list[_Open]]:
        """The next documents; of each only what is asked is kept, not its text."""
        together: list[Judgement | list[_Open]] = []
        chars = 0
        for document in documents:
            parts = self._divided(lens, document)
            if isinstance(parts, Judgement):
                together.append(parts)
            else:
                opened = [self._opened(lens, part) for part in parts]
                chars += sum(each.chars for each in opened)
                together.append(opened)
            if len(together) == TOGETHER or chars >= TOGETHER_CHARS:
                break
        return together

    def _opened(self, lens: Lens, document: Document) -> _Open:
        """The part, done where its answer is kept already or where it cannot be asked about."""
        try:
            opened = _Open(self._questions(lens, document))
        except QuestionError as error:
            return _Open((), Part(Reading(error.reason), str(error)))
        kept = None if self.cache is None else self.cache.get(self._key(opened.questions[0]))
        if kept is not None and (reading := read(kept, lens)).reason is None:
            opened.close(reading, raw_of(kept), cached=1)
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
        if paid:
            each.took.add(answer)
        if isinstance(answer, QuestionError):
            each.close(Reading(answer.reason), str(answer))
            return
        reading = read(answer, lens)
        if reading.reason is None and self.cache is not None and paid:
            self.cache.put(self._key(each.questions[0]), answer)
        if reading.reason is None or each.attempt + 1 == len(each.questions):
            each.close(reading, raw_of(answer), cached=0 if paid else 1)
        else:
            each.attempt += 1
