"""A prompted rater over a chat model that answers by a script."""

from collections.abc import Callable
from typing import Any

from datashop_assets.project import RaterSettings
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.prompted import PromptedRater
from datashop_assets.rating.questions import Question, Reply
from datashop_assets_tests.rating.lens_for_tests import small_lens
from resources.raters.scripted import ScriptedChatModel

LENS = small_lens()
GOOD = '{"rationale": "clear", "score": 4}'


def settings(**changed: Any) -> RaterSettings:
    return RaterSettings(backend="openai", model="m", base_url="http://127.0.0.1:1/v1", **changed)


def rater(answer: Callable[[Question], Reply | str], cache: Any = None, parallel: int = 1, **changed: Any) -> Any:
    return PromptedRater(ScriptedChatModel(answer, parallel=parallel), settings(**changed), cache)


def said(question: Question) -> str:
    """The document that a question of the small lens is about."""
    return question.messages[-1]["content"].removeprefix("Rate: ")


def one(judge: PromptedRater, text: str = "a page", lens: Any = LENS) -> Judgement:
    (judgement,) = judge.rate(lens, [Document(text)])
    return judgement


def by_turns(*answers: Reply | str | Exception) -> Callable[[Question], Reply | str]:
    left = list(answers)

    def answer(_: Question) -> Reply | str:
        first = left.pop(0)
        if isinstance(first, Exception):
            raise first
        return first

    return answer
