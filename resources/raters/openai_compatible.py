"""The served rater: any endpoint that speaks OpenAI's chat completions, such as vLLM.

What belongs here: asking over the network, asking again, telling one document's failure from an endpoint's. What does
not: the rubric (the lens folder), reading an answer (`datashop_assets/rating/answers.py`).
"""

import hashlib
import json
import os
import re
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from itertools import chain
from typing import Any

from datashop_assets.project import RaterSettings
from datashop_assets.rating.answers import answer_schema, parse_answer
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens
from datashop_assets.seams import PermanentError

# Raised by hand when the same model, lens and settings would give other scores.
RECIPE = 1
SEED = 1
# Each further attempt is warmer by this much: at temperature 0 a server would repeat the same unreadable answer.
WARMER = 0.3
NOT_IMPLEMENTED = 501  # how some servers say that they have no list of models
CLIENT_RETRIES = 4  # of the client itself, with growing pauses, for 408, 409, 429, 5xx and lost connections


class RaterEndpointError(RuntimeError):
    """No document can be rated; the message names the endpoint and what to do. This kind may pass: nothing answered."""


class RaterRefusedError(RaterEndpointError, PermanentError):
    """The endpoint answers, and will go on refusing: a wrong key, or a model that it does not serve."""


class OpenAICompatibleRater:
    """Behind `seams.Rater`. Opens no connection before the first rating.

    The key is read from the environment variable `api_key_env` when the first question is asked and is kept by the
    client only; where the variable is not set, `EMPTY` is sent, as local servers expect. Failures of one document:
    `unparsable_answer`, `ambiguous_answer`, `off_scale`, `refused`, `cut_off`, `endpoint_error`, `empty_document`.
    """

    def __init__(self, settings: RaterSettings) -> None:
        self.settings = settings

    @cached_property
    def id(self) -> str:
        """Content id of the served model's name and of what decides an answer.

        Where it is served, how many questions are in flight and how long one may take do not count.
        """
        settings = self.settings
        content = [RECIPE, settings.model, settings.temperature, settings.max_tokens, settings.attempts, SEED, WARMER]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", settings.model.rpartition("/")[2])
        return f"openai-{name}-{digest}"

    def rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:
        """Judge the documents with `parallel` questions in flight, in order, each as soon as those before it are done.

        Raises RaterEndpointError where the endpoint cannot be reached at the start or is out of order, and
        RaterRefusedError where it refuses the key or does not know the model. The former happening to one document
        later on is that document's failure.
        """
        asked = iter(documents)
        first = next(asked, None)
        if first is None:
            return
        self._probe()
        with ThreadPoolExecutor(self.settings.parallel, thread_name_prefix="rater") as pool:
            # Twice `parallel` keeps every worker busy behind a slow document without asking far ahead of a kill.
            waiting: deque[Future[Judgement]] = deque()
            try:
                for document in chain([first], asked):
                    waiting.append(pool.submit(self._judge, lens, document.text))
                    if len(waiting) >= 2 * self.settings.parallel:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _client(self) -> Any:
        from openai import OpenAI

        return OpenAI(
            base_url=self.settings.base_url,
            api_key=os.environ.get(self.settings.api_key_env) or "EMPTY",
            timeout=self.settings.timeout_s,
            max_retries=CLIENT_RETRIES,
        )

    def _probe(self) -> None:
        """Raise where nothing answers. A server that has no list of models is let pass: it answered.

        So is one that is busy (408, 429): questions are asked with more patience. Any other 5xx than 501 is mostly a
        gateway without a server behind it.
        """
        import openai

        try:
            self._client.with_options(max_retries=1, timeout=min(self.settings.timeout_s, 30)).models.list()
        except openai.APIConnectionError as error:
            raise RaterEndpointError(
                f"no answer from the rater endpoint {self.settings.base_url} ({type(error).__name__}); start the "
                "server, or correct base_url or the lens's rater in the project file"
            ) from error
        except (openai.AuthenticationError, openai.PermissionDeniedError):
            raise self._refused_key() from None
        except openai.APIStatusError as error:
            if error.status_code >= 500 and error.status_code != NOT_IMPLEMENTED:
                raise RaterEndpointError(
                    f"the rater endpoint {self.settings.base_url} is out of order (HTTP {error.status_code}: "
                    f"{self._without_key(error.message)}); wait for it, or look at the server"
                ) from None

    def _judge(self, lens: Lens, text: str) -> Judgement:
        import openai
        from openai.types.chat import ChatCompletion

        if not text.strip():
            return Judgement(None, "empty_document")
        begun = time.perf_counter()
        used = [0, 0]
        reason, raw, rationale = "unparsable_answer", "", None
        messages = lens.messages(text)
        for attempt in range(self.settings.attempts):
            try:
                completion = self._ask(messages, lens, attempt)
            except (openai.AuthenticationError, openai.PermissionDeniedError):
                raise self._refused_key() from None
            except openai.NotFoundError as error:
                raise RaterRefusedError(
                    f"the endpoint {self.settings.base_url} does not serve the model {self.settings.model!r} "
                    f"({self._without_key(error.message)}); correct `model` or `base_url` in the project file"
                ) from None
            except openai.APIError as error:
                # The client has retried what may pass; asking once more would only wait again.
                reason, raw = "endpoint_error", self._without_key(f"{type(error).__name__}: {error.message}")
                break
            if not isinstance(completion, ChatCompletion) or not completion.choices:
                reason, raw = "endpoint_error", self._without_key(f"no chat completion: {completion!r}")
                break
            if completion.usage is not None:
                used[0] += completion.usage.prompt_tokens
                used[1] += completion.usage.completion_tokens
            choice = completion.choices[0]
            raw = choice.message.content or choice.message.refusal or ""
            if choice.message.refusal or choice.finish_reason == "content_filter":
                reason = "refused"
                continue
            answer = parse_answer(raw, lens)
            if answer.score is not None:
                return Judgement(
                    answer.score, None, answer.rationale, raw, used[0], used[1], time.perf_counter() - begun
                )
            reason = "cut_off" if choice.finish_reason == "length" else str(answer.fault)
            rationale = answer.rationale
        return Judgement(None, reason, rationale, raw, used[0], used[1], time.perf_counter() - begun)

    def _ask(self, messages: list[dict[str, str]], lens: Lens, attempt: int) -> Any:
        return self._client.chat.completions.create(
            model=self.settings.model,
            messages=messages,
            temperature=self.settings.temperature + WARMER * attempt,
            seed=SEED + attempt,
            max_tokens=self.settings.max_tokens,
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "rating", "strict": True, "schema": answer_schema(lens)},
            },
        )

    def _without_key(self, message: str) -> str:
        """The beginning of a server's message; some quote the key that they were sent."""
        key = os.environ.get(self.settings.api_key_env)
        return (message.replace(key, "(key)") if key else message)[:1000]

    def _refused_key(self) -> RaterRefusedError:
        variable = self.settings.api_key_env
        given = "the key in" if os.environ.get(variable) else "an empty key, for want of"
        return RaterRefusedError(
            f"the endpoint {self.settings.base_url} refused {given} the environment variable {variable}; set it to a "
            "valid key, or name another variable in api_key_env"
        )
