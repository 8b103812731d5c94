"""A served chat model at a test's server, and questions for it."""

from typing import Any

from datashop_assets.project import RaterSettings
from datashop_assets.rating.questions import Question
from datashop_assets_tests.resources.chat_server import ChatServer, says
from resources.raters.chat_openai import OpenAIChatModel

SCHEMA = {"type": "object", "properties": {"score": {"type": "integer"}}}
FOUR = says('{"score": 4}')


def model(server: ChatServer | str, **changed: Any) -> OpenAIChatModel:
    url = server if isinstance(server, str) else server.base_url
    settings = {"backend": "openai", "model": "org/tiny-model", "base_url": url, "api_key_env": "TEST_RATER_KEY"}
    return OpenAIChatModel(RaterSettings(**{**settings, "timeout_s": 60, "away_s": 0, **changed}))


def question(document: str = "x", levels: tuple[str, ...] = ()) -> Question:
    messages = ({"role": "system", "content": "Judge."}, {"role": "user", "content": f"Rate: {document}"})
    return Question(messages, None if levels else SCHEMA, levels, 300, 0.0, 1.0, 1)
