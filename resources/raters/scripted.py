"""A rater that answers by a script, for tests of what is built on raters. No user's path leads here.

What belongs here: the fake behind `seams.Rater`. What does not: anything that judges.
"""

from collections.abc import Callable, Iterable, Iterator

from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens


class ScriptedRater:
    """Gives `judge(text)` for every text and remembers in `asked` what it was asked.

    `judge` returns a score, or the reason code of a failure, or raises what a real rater would.
    """

    def __init__(self, judge: Callable[[str], float | str], id: str = "scripted") -> None:  # noqa: A002 - the seam's name
        self.judge = judge
        self.id = id
        self.asked: list[str] = []

    def rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:  # noqa: ARG002 - the seam's signature
        for document in documents:
            self.asked.append(document.text)
            answer = self.judge(document.text)
            if isinstance(answer, str):
                yield Judgement(None, answer)
            else:
                yield Judgement(float(answer))
