"""A question in the words of OpenAI's chat completions, and a completion read as a reply. Nothing is sent from here.

What belongs here: what both the interactive and the batch API need to build a request and to read its answer. What does
not: the client, its keys and its patience (`chat_openai.py`, `openai_batch.py`).
"""

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datashop_assets.rating.questions import Question, Reply
from resources.raters.chat_tokens import harmless

TOP_LOGPROBS = 20  # the most that OpenAI and a vLLM server at its defaults give
SMALLER_TOP_LOGPROBS = {20: 10, 10: 5}  # some servers give fewer; older vLLM five
UNSUPPORTED = re.compile(
    r"(?:not|n't|un)[ -]?(?:\w+ ){0,2}(?:support|known|recogni[sz]|expect|allow|permit|available|implement)"
    r"|invalid (?:schema|parameter|field|argument)|extra (?:inputs|fields)|greater than|less than or equal",
    re.IGNORECASE,
)
SCHEMA_WORDS = ("response_format", "json_schema", "structured output", "guided")
TOO_LONG = re.compile(
    r"context[ _](?:length|window)|max(?:imum|_)(?: ?model)?[ _]len|too (?:long|many tokens)", re.IGNORECASE
)
# What the tokenizers of served models take for the end of a turn or of a text, wherever it stands: `<|im_end|>`,
# `<｜User｜>`, `<end_of_turn>`, `</s>`, `[INST]`, ... The served model's own list is not known here.
MARKERS = re.compile(
    r"<[|｜][^<>|｜\s]{1,60}[|｜]>|<(?:/?s|bos|eos|pad|unk|(?:start|end)_of_turn)>|\[/?(?:INST|SYSTEM_PROMPT)\]"
)
# What a server says of an answer that it gave up: vLLM of those under way when it is told to end.
BROKEN_OFF = ("abort", "error")
FILTERED = ("content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation")


class BrokenAnswerError(ValueError):
    """An answer that is no completion: cut off, of another shape, or no JSON at all. The tokens are what it says that
    it took: none where it does not say so."""

    def __init__(self, message: str, input_tokens: int = 0, output_tokens: int = 0) -> None:
        super().__init__(message)
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens


class NoLogprobsError(ValueError):
    """A completion without the probabilities that were asked for."""


@dataclass(frozen=True)
class Dialect:
    """What one served model understands of a request; it is found out by asking.

    `dropped` are parameters that it refused. With `thinking_switch`, a chat template that lets the model think first
    can be told not to (vLLM).
    """

    dropped: frozenset[str] = frozenset()
    top_logprobs: int = TOP_LOGPROBS
    thinking_switch: bool = False

    def without(self, parameter: str) -> "Dialect | None":
        """How to ask after `parameter` was refused; None where a question cannot do without it."""
        if parameter in ("top_logprobs", "logprobs"):  # vLLM says the one where it means the other
            fewer = SMALLER_TOP_LOGPROBS.get(self.top_logprobs)
            return replace(self, top_logprobs=fewer) if fewer else None
        return replace(self, dropped=self.dropped | {parameter})


def request_body(question: Question, model: str, dialect: Dialect, level_ids: Sequence[int] = ()) -> dict[str, Any]:
    """The JSON body of a chat completion, whatever a document holds as text and never as a marker.

    `level_ids` are tokens whose probabilities a vLLM server reports by id.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": list(harmless(question.messages, MARKERS)),
        "max_tokens": 1 if question.levels else question.max_tokens,
        "temperature": question.temperature,
        "top_p": question.top_p,
        "seed": question.seed,
    }
    if question.levels:
        body |= {"logprobs": True, "top_logprobs": dialect.top_logprobs}
        if level_ids:
            body["logprob_token_ids"] = list(level_ids)
        if dialect.thinking_switch:
            # A model that begins by thinking aloud would put all its probability on the mark that opens a thought.
            body["chat_template_kwargs"] = {"enable_thinking": False}
    elif question.schema is not None:
        schema = {"name": "rating", "strict": True, "schema": dict(question.schema)}
        body["response_format"] = {"type": "json_schema", "json_schema": schema}
    if "max_tokens" in dialect.dropped:
        body["max_completion_tokens"] = body["max_tokens"]
    return {name: value for name, value in body.items() if name not in dialect.dropped}


def refused_parameter(body: Mapping[str, Any], message: str, parameter: str | None) -> str | None:
    """Which parameter of the body a server's refusal (HTTP 400 or 422) is about; None where it is about none.

    `parameter` is what the server names in its error's `param`. A message alone counts where it says that something
    is not supported, for messages may also quote a document.
    """
    known = [name for name in body if name not in ("model", "messages")]
    if parameter:
        named = [name for name in known if parameter == name or parameter.startswith((f"{name}.", f"{name}["))]
        if named:
            return named[0]
    if not UNSUPPORTED.search(message):
        return None
    if "response_format" in known and any(word in message for word in SCHEMA_WORDS):
        return "response_format"
    # The longest first: `top_logprobs` holds the word `logprobs`.
    return next((name for name in sorted(known, key=len, reverse=True) if name in message), None)


def refusal_reason(message: str, code: str | None) -> str:
    """The failure code of one question that a server refused with HTTP 400, 413 or 422."""
    if code in FILTERED:
        return "refused"
    return "too_long" if code == "context_length_exceeded" or TOO_LONG.search(message) else "endpoint_error"


class _Part(BaseModel):
    # Servers add fields of their own; only what is read has to be right.
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Token(_Part):
    token: str
    logprob: float


class _Position(_Token):
    top_logprobs: list[_Token] | None = None


class _Logprobs(_Part):
    content: list[_Position] | None = None


class _Message(_Part):
    content: str | None = None
    refusal: str | None = None


class _Choice(_Part):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Usage(_Part):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Bill(_Part):
    usage: _Usage | None = None


class _Completion(_Bill):
    choices: list[_Choice] = Field(min_length=1)


def read_completion(content: bytes, question: Question) -> Reply:
    """The reply that stands in a completion's JSON.

    Raises BrokenAnswerError where it is no completion or was broken off, NoLogprobsError where the probabilities of a
    question with levels are missing.
    """
    try:
        completion = _Completion.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(step) for step in fault["loc"]) or "the answer"
        shown = content[:300].decode(errors="replace")
        said = f"no chat completion ({place}: {fault['msg']}): {shown}"
        raise BrokenAnswerError(said, *_billed(content)) from None
    choice, usage = completion.choices[0], completion.usage or _Usage()
    text = choice.message.content or choice.message.refusal or ""
    tokens = (usage.prompt_tokens, usage.completion_tokens)
    if choice.message.refusal or choice.finish_reason == "content_filter":
        return Reply(text, "refused", *tokens)
    if choice.finish_reason in BROKEN_OFF:
        raise BrokenAnswerError(f"the server broke its answer off (finish_reason {choice.finish_reason})", *tokens)
    if question.levels:
        return Reply(text, "stop", *tokens, _level_logprobs(choice.logprobs, question.levels))
    return Reply(text, "length" if choice.finish_reason == "length" else "stop", *tokens)


def _billed(content: bytes) -> tuple[int, int]:
    """The tokens, in and out, of an answer that is no completion; none where it does not say so."""
    with suppress(ValidationError):
        usage = _Bill.model_validate_json(content).usage or _Usage()
        return usage.prompt_tokens, usage.completion_tokens
    return 0, 0


def _level_logprobs(logprobs: _Logprobs | None, levels: Sequence[str]) -> dict[str, float]:
    """Natural logarithms of the levels' probabilities, each summed over the tokens that say it, as `3` and ` 3` do."""
    if logprobs is None or not logprobs.content:
        raise NoLogprobsError
    first = logprobs.content[0]
    found: dict[str, list[float]] = {}
    for token in first.top_logprobs or [first]:
        if (level := token.token.strip(" \t\n▁Ġ")) in levels:
            found.setdefault(level, []).append(token.logprob)
    return {level: _logsumexp(values) for level, values in found.items()}


def _logsumexp(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values))
