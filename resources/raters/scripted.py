"""A rater, a chat model and an answer cache for tests of what is built on them. No user's path leads here.

What belongs here: the fakes behind `seams.Rater`, `seams.ChatModel` and `seams.AnswerCache`. What does not: anything
that judges.
"""

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.questions import Question, Reply


class ScriptedRater:
    """Gives `judge(text)` for every text and remembers in `asked` what it was asked.

    `judge` returns a score, or labels by label set, or the reason code of a failure, or raises what a real rater would.
    """

    def __init__(
        self,
        judge: Callable[[str], float | str | Mapping[str, tuple[str, ...]]],
        id: str = "scripted",  # noqa: A002 - the seam's name
    ) -> None:
        self.judge = judge
        self.id = id
        self.asked: list[str] = []

    def rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:  # noqa: ARG002 - the seam's signature
        for document in documents:
            self.asked.append(document.text)
            answer = self.judge(document.text)
            if isinstance(answer, str):
                yield Judgement(None, answer)
            elif isinstance(answer, Mapping):
                yield Judgement(None, labels=answer)
            else:
                yield Judgement(float(answer))


class ScriptedChatModel:
    """Gives `answer(question)` for every question; its tokens are words.

    `answer` returns a reply or only its text, or raises what a real model would; it is called by several threads at
    once. `asked` remembers the questions, `starts` how often the model was started, `busiest` how many questions it
    had at once.
    """

    def __init__(
        self,
        answer: Callable[[Question], Reply | str],
        id: str = "scripted",  # noqa: A002 - the seam's name
        parallel: int = 1,
    ) -> None:
        self.answer = answer
        self.id = id
        self.parallel = parallel
        self.asked: list[Question] = []
        self.starts = 0
        self.busiest = 0
        self._busy = 0
        self._counting = threading.Lock()

    def start(self) -> None:
        self.starts += 1

    def ask(self, question: Question) -> Reply:
        with self._counting:
            self.asked.append(question)
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        try:
            answer = self.answer(question)
        finally:
            with self._counting:
                self._busy -= 1
        return Reply(answer) if isinstance(answer, str) else answer

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for found in re.finditer(r"\S+", text)]


class MemoryAnswerCache:
    """Keeps answers for as long as it lives."""

    def __init__(self) -> None:
        self.kept: dict[str, Reply] = {}

    def get(self, key: str) -> Reply | None:
        return self.kept.get(key)

    def put(self, key: str, reply: Reply) -> None:
        self.kept[key] = reply
