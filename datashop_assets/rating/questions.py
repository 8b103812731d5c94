"""What is asked of a chat model and what comes back, whoever serves it.

What belongs here: the frozen types between a prompted rater and a model. What does not: rendering a lens into messages
(`lens.py`), reading an answer (`answers.py`), asking (`resources/raters/`).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal


@dataclass(frozen=True)
class Question:
    """One question: chat messages, and what kind of answer is wanted.

    With `levels` nothing is generated: the model's probabilities of these answers are wanted, each a single token.
    Else an answer is generated, by `schema` (a JSON schema) where there is one.
    """

    messages: tuple[Mapping[str, str], ...]
    schema: Mapping[str, Any] | None
    levels: tuple[str, ...]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything in the question: equal questions have equal digests, in every process and release."""
        content = [
            [dict(message) for message in self.messages],
            self.schema,
            self.levels,
            self.max_tokens,
            self.temperature,
            self.top_p,
            self.seed,
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Reply:
    """A model's answer. `level_logprobs` are natural logarithms, for a question with levels; a level that the server
    did not report is missing. `retries` are the requests that failed on their way before this answer came; the tokens
    are those of broken answers too."""

    text: str
    finish: Literal["stop", "length", "refused"] = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    level_logprobs: Mapping[str, float] | None = None
    retries: int = 0


class QuestionError(RuntimeError):
    """A question that was not answered, while others may be. `reason` is the failure code of its judgement.

    `requests` were sent for it, and the tokens are those of answers that came and were no good: they were paid for.
    """

    def __init__(
        self, reason: str, message: str, requests: int = 1, input_tokens: int = 0, output_tokens: int = 0
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.requests = requests
        self.input_tokens = input_tokens
        self.output_tokens = output_tokens
