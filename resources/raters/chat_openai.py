"""A chat model behind any endpoint that speaks OpenAI's chat completions: OpenAI itself, vLLM, and many more.

What belongs here: asking over the network, asking again, telling one question's failure from an endpoint's. What does
not: how a question is written and an answer read (`openai_requests.py`), the rubric and its parser
(`datashop_assets/rating/`).
"""

import hashlib
import json
import logging
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass, replace
from functools import cached_property
from typing import Any, NoReturn

from datashop_assets.project import RaterSettings
from datashop_assets.rating.questions import Question, QuestionError, Reply
from resources.raters.endpoint_errors import RaterEndpointError, RaterRefusedError, mend_of
from resources.raters.openai_clients import OpenAIClients
from resources.raters.openai_requests import (
    TOP_LOGPROBS,
    BrokenAnswerError,
    Dialect,
    NoLogprobsError,
    read_completion,
    refusal_reason,
    refused_parameter,
    request_body,
)
from resources.raters.outage import Outage
from resources.raters.token_spans import TokenizerError, token_spans_by

# Raised by hand when the same model would be asked in another way for the same question.
RECIPE = 2
NOT_IMPLEMENTED = 501  # how some servers say that they have no list of models
# A busy endpoint (429, 503) is waited for so many times over, some two minutes in all where it names no time.
BUSY = (429, 503)
BUSY_ROUNDS = 5
RETURNS = 3  # of an endpoint, for one question
AWAY = (502, 503, 504)  # what is before a server says while that restarts
LONGEST_PAUSE_S = 120  # the client waits no longer than this for a Retry-After
BODY_TRIES = 3  # of a question whose answers arrive broken
# So many questions failing one after another are the endpoint's failure, not theirs.
FEWEST_FAILURES, MOST_FAILURES = 5, 20

log = logging.getLogger(__name__)


class OpenAIChatModel:
    """Behind `seams.ChatModel`, for backends `openai` and `vllm`. Opens no connection before `start`.

    The key is read from the environment variable `api_key_env` when the first client is made and is kept by them only;
    where the variable is not set, `EMPTY` is sent, as local servers expect. A vLLM server gets a key only where the
    settings name its variable, lest it be sent the key of another service. What a model does not understand
    (`response_format`, `max_tokens`, `temperature`, ...) is found out once, said in a warning, and left out from then.
    """

    def __init__(self, settings: RaterSettings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._started = False
        self._failures = 0
        self._down: str | None = None
        self.dialect = Dialect(thinking_switch=settings.backend == "vllm")
        self._level_ids: dict[tuple[str, ...], list[int]] = {}

    @cached_property
    def id(self) -> str:
        """Content id of the served model's name: the same model has the same id at every address."""
        digest = hashlib.sha256(json.dumps([RECIPE, self.settings.model]).encode()).hexdigest()[:8]
        return f"{re.sub(r'[^A-Za-z0-9.-]+', '_', self.settings.model.rpartition('/')[2])}-{digest}"

    @property
    def parallel(self) -> int:
        return self.settings.parallel

    def start(self) -> None:
        """Reach the endpoint, once. Raises RaterEndpointError where it cannot be, or RaterRefusedError."""
        with self._lock:
            if self._started:
                return
            self._probe()
            self._started, self._down, self._failures = True, None, 0

    def ask(self, question: Question) -> Reply:
        """Ask, and again where that may help.

        Raises QuestionError `endpoint_error`, `too_long` or `refused`; RaterRefusedError where the key or the model is
        refused, or where the endpoint gives no probabilities for a question with levels; RaterEndpointError where it
        limits the rate for longer than the client waits, is away for longer than `away_s`, or fails question after
        question. A reply
        and a QuestionError say what all requests for the question took.
        """
        if self._down is not None:
            raise RaterEndpointError(self._down)
        took = _Took()
        try:
            return self._answer(question, took)
        except QuestionError as error:
            error.requests, error.input_tokens, error.output_tokens = astuple(took)
            raise

    def _answer(self, question: Question, took: "_Took") -> Reply:
        import openai

        asked_again = 0
        while True:
            try:
                reply = self._asked(question, took)
                break
            except openai.APIStatusError as error:
                if error.status_code not in AWAY or not self._is_back(asked_again):
                    self._answered_with(error)
            except openai.APIConnectionError as error:
                slow = isinstance(error, openai.APITimeoutError)
                if not self._is_back(asked_again, slow):
                    self._failed(f"{type(error).__name__}: {error}", passing=True)
            except (openai.APIError, BrokenAnswerError) as error:
                self._failed(f"{type(error).__name__}: {error}", passing=True)
            asked_again += 1
        with self._lock:
            self._failures = 0
        return reply

    def _is_back(self, asked_again: int, slow: bool = False) -> bool:
        """Wait for an endpoint that is away, restarted mostly; whether the question may be asked again.

        Not for ever: it may be the question that ends the server. Where the endpoint answers, once more, for it may
        have been away until just now, but not where the question takes too long. Raises RaterEndpointError where it
        does not come back.
        """
        if not self.settings.away_s:
            return False
        try:
            was_away = self._outage.sit_out()
        except RaterEndpointError as error:
            self._down, self._started = str(error), False
            raise
        return asked_again < (RETURNS if was_away else 0 if slow else 1)

    @cached_property
    def _outage(self) -> Outage:
        return Outage(self._probe, self.settings.away_s)

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        """Spans by the `tokenizer` of the settings; a vLLM model's own where its name leads to one. Raises
        TokenizerError."""
        return self._spans(text)

    def masked(self, message: str) -> str:
        """The beginning of a server's message; some quote the key that they were sent."""
        return (message.replace(self._key, "(key)") if self._key else message)[:1000]

    @property
    def _key(self) -> str:
        # A key that was read from a file may end in a line break, which no header may hold.
        return os.environ.get(self.settings.api_key_env, "").strip()

    @cached_property
    def clients(self) -> OpenAIClients:
        named = self.settings.backend == "openai" or "api_key_env" in self.settings.model_fields_set
        return OpenAIClients(self.settings, self._key if named else "")

    @cached_property
    def _spans(self) -> Callable[[str], Sequence[tuple[int, int]]]:
        settings = self.settings
        if settings.tokenizer is not None:
            return token_spans_by(settings.tokenizer)
        if settings.backend == "vllm":
            # A model is mostly served under its hub name, or from a folder that this machine has too.
            with suppress(TokenizerError):
                return token_spans_by(settings.model, local_only=True)
            with suppress(TokenizerError):
                return token_spans_by(self._served_from(), local_only=True)
        raise TokenizerError(
            f"the tokenizer of the served model {settings.model!r} is not known; name it in the rater's `tokenizer` "
            "(a local path, package:<module>/<file>, a hub name or tiktoken:NAME)"
        )

    def _served_from(self) -> str:
        """The folder or hub name that a vLLM server gives for the model."""
        self.start()
        served = {each.id: each.to_dict().get("root") for each in self.clients.one.models.list()}
        return str(served.get(self.settings.model) or self.settings.model)

    def _asked(self, question: Question, took: "_Took") -> Reply:
        import openai

        broken = busy = 0
        while True:
            dialect = self.dialect
            body = request_body(question, self.settings.model, dialect, self._ids_of(question.levels))
            try:
                answer = self.clients.post("/chat/completions", body)
            except openai.APIStatusError as error:
                took.requests += _sent(error.request)
                if error.status_code in (400, 422) and self.learned(error, body, dialect):
                    continue
                busy += error.status_code in BUSY
                if error.status_code not in BUSY or busy == BUSY_ROUNDS or _asks_for_a_long_pause(error):
                    raise
                continue
            except openai.APIError as error:
                took.requests += _sent(error.request)
                raise
            took.requests += _sent(answer.request)
            try:
                reply = read_completion(answer.content, question)
            except NoLogprobsError:
                raise self.no_logprobs("its answer has none") from None
            except BrokenAnswerError as error:
                took.add_tokens(error)
                broken += 1
                if broken == BODY_TRIES:
                    raise
                continue
            took.add_tokens(reply)
            return replace(
                reply,
                input_tokens=took.input_tokens,
                output_tokens=took.output_tokens,
                retries=took.requests - 1,
            )

    def learned(self, error: Any, body: Mapping[str, Any], dialect: Dialect) -> bool:
        """Whether a refusal (`message`, `code`, `param`) was about a parameter, which is left out from now on.

        Raises RaterRefusedError where the question cannot do without it.
        """
        if refusal_reason(error.message, error.code) != "endpoint_error":
            return False
        name = refused_parameter(body, error.message, error.param)
        if name is None:
            return False
        less = dialect.without(name)
        if less is None:
            raise self.no_logprobs(self.masked(error.message))
        with self._lock:
            # Another thread may have learned meanwhile; then the question is asked again in the words of that.
            if self.dialect == dialect:
                self.dialect = less
                log.warning(
                    "The model %r at %s does not take %r as it is asked; it is asked otherwise from now on. (%s)",
                    self.settings.model,
                    self.settings.base_url,
                    name,
                    self.masked(error.message),
                )
        return True

    def _ids_of(self, levels: tuple[str, ...]) -> Sequence[int]:
        """A vLLM server's tokens for the levels, those without a space before them first; empty where it does not say.

        With them the server reports the probability of every level. Among its 20 likeliest tokens an improbable level
        is missing.
        """
        if not levels or self.settings.backend != "vllm":
            return ()
        with self._lock:
            if levels not in self._level_ids:
                self._level_ids[levels] = self._tokenized([*levels, *(f" {level}" for level in levels)])
            return self._level_ids[levels]

    def _tokenized(self, words: Sequence[str]) -> list[int]:
        import openai

        found: list[int] = []
        url = f"{str(self.settings.base_url).rstrip('/').removesuffix('/v1')}/tokenize"
        for word in words:
            body = {"model": self.settings.model, "prompt": word, "add_special_tokens": False}
            try:
                tokens = self.clients.one.post(url, cast_to=object, body=body)["tokens"]
            except (openai.APIStatusError, KeyError, TypeError) as error:
                log.warning(
                    "%s does not tell the tokens of the levels (%s); the likeliest count", url, self.masked(str(error))
                )
                return []
            if len(tokens) == 1:
                found += tokens
        return found[:TOP_LOGPROBS]

    def _probe(self) -> None:
        """Raise where nothing answers. A server that has no list of models is let pass: it answered.

        So is one that is busy (408, 429): questions are asked with more patience. Any other 5xx than 501 is mostly a
        gateway without a server behind it.
        """
        import openai

        place = self.settings.base_url
        try:
            self.clients.one.with_options(max_retries=1, timeout=min(self.settings.timeout_s, 30)).models.list()
        except openai.APIConnectionError as error:
            raise RaterEndpointError(f"no answer from the rater endpoint {place} {mend_of(error)}") from None
        except (openai.AuthenticationError, openai.PermissionDeniedError):
            raise self.refused_key() from None
        except openai.APIStatusError as error:
            if error.status_code >= 500 and error.status_code != NOT_IMPLEMENTED:
                raise RaterEndpointError(
                    f"the rater endpoint {place} is out of order (HTTP {error.status_code}: "
                    f"{self.masked(error.message)}); wait for it, or look at the server"
                ) from None

    def _answered_with(self, error: Any) -> NoReturn:
        """What an error status means, once the client has retried what may pass."""
        place, said = self.settings.base_url, self.masked(error.message)
        if error.status_code in (401, 403):
            raise self.refused_key() from None
        if error.status_code == 404:
            raise RaterRefusedError(
                f"the endpoint {place} does not serve the model {self.settings.model!r} ({said}); correct `model` or "
                "`base_url` in the project file"
            ) from None
        if error.status_code == 402 or error.code == "insufficient_quota":
            raise RaterRefusedError(f"the account at {place} has nothing left to spend ({said}); top it up") from None
        if error.status_code in BUSY:
            # It is not the question's fault, and an answer not given costs nothing: better stop than record a failure.
            raise RaterEndpointError(
                f"the rater endpoint {place} is busy for longer than is waited (HTTP {error.status_code}: {said}); "
                "run again later, or lower the rater's `parallel`"
            ) from None
        shown = f"{type(error).__name__}: {said}"
        reason = refusal_reason(error.message, error.code)
        if error.status_code in (400, 413, 422) and reason != "endpoint_error":
            raise QuestionError(reason, shown) from None
        self._failed(shown, passing=error.status_code >= 500 or error.status_code in (408, 409))

    def _failed(self, message: str, *, passing: bool) -> NoReturn:
        """One question's failure, unless the endpoint is down or fails question after question.

        `passing` are the faults of transport; the others are refusals, which go on.
        """
        said = self.masked(message)
        if passing:
            self._started = False
            self._probe()
        with self._lock:
            self._failures += 1
            failures = self._failures
        if failures < min(max(self.parallel, FEWEST_FAILURES), MOST_FAILURES):
            raise QuestionError("endpoint_error", said) from None
        summary = (
            f"the rater endpoint {self.settings.base_url} failed {failures} questions one after another, the last "
            f"with: {said}; look at the server, then run again"
        )
        if not passing:
            raise RaterRefusedError(summary) from None
        self._down, self._started = summary, False
        raise RaterEndpointError(summary) from None

    def no_logprobs(self, message: str) -> RaterRefusedError:
        return RaterRefusedError(
            f"the endpoint {self.settings.base_url} gives no probabilities for the model {self.settings.model!r} "
            f"({message}); set the lens's `mode` to score_only or rationale_then_score, or use another rater"
        )

    def refused_key(self) -> RaterRefusedError:
        variable = self.settings.api_key_env
        given = "the key in" if self._key else "an empty key, for want of"
        return RaterRefusedError(
            f"the endpoint {self.settings.base_url} refused {given} the environment variable {variable}; set it to a "
            "valid key, or name another variable in api_key_env"
        )


@dataclass
class _Took:
    """What the requests for one question took: how many were sent, and the tokens of all answers that came."""

    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def add_tokens(self, answer: Reply | BrokenAnswerError) -> None:
        self.input_tokens += answer.input_tokens
        self.output_tokens += answer.output_tokens


def _sent(request: Any) -> int:
    """How often the client has sent a request, of which this is the last."""
    return 1 + int(request.headers.get("x-stainless-retry-count", 0))


def _asks_for_a_long_pause(error: Any) -> bool:
    """Whether the server named a time that the client does not wait for; a date counts as such."""
    wanted = error.response.headers.get("retry-after", "0")
    try:
        return float(wanted) > LONGEST_PAUSE_S
    except ValueError:
        return True
