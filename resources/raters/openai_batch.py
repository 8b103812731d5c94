"""Many questions at once through a provider's batch API, at a lower price and hours later.

What belongs here: sending batches, waiting for them, and finding those again that a killed process had sent. What does
not: how a question is written and a completion read (`openai_requests.py`), what is asked again because its answer says
nothing (`datashop_assets/rating/batched.py`).
"""

import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from datashop_assets.project import RaterSettings
from datashop_assets.rating.questions import Question, QuestionError, Reply
from resources.raters.batch_ledger import BatchLedger, Sent
from resources.raters.chat_openai import OpenAIChatModel
from resources.raters.endpoint_errors import RaterEndpointError, RaterRefusedError
from resources.raters.openai_requests import (
    BrokenAnswerError,
    Dialect,
    NoLogprobsError,
    read_completion,
    refusal_reason,
    request_body,
)

PATH = "/v1/chat/completions"
# Of one batch; OpenAI takes 50,000 questions and 200 MB.
MOST_QUESTIONS = 10_000
MOST_BYTES = 100_000_000
LINE_TRIES = 3  # batches that a question is sent in before the provider's failure to answer it is recorded
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 60.0
ENDED = ("completed", "expired", "failed", "cancelled")
PASSING = (408, 409, 429)

T = TypeVar("T")
log = logging.getLogger(__name__)


class NotThereError(RaterRefusedError):
    """A file or a batch that the provider does not know, or a provider without a batch API."""


class LineError(BaseModel):
    """What a provider says of a question that it did not answer."""

    message: str = ""
    code: str | None = None
    param: str | None = None


class OpenAIBatchModel(OpenAIChatModel):
    """Behind `rating.batched.BatchModel`: asks as an OpenAIChatModel does, or many questions by the batch API.

    What was sent is written down in the folder `ledger` before it is sent, so that a process that takes over from a
    killed one, or runs beside it, waits for the same batch instead of paying for another. The batch is forgotten once
    all of its answers were received, or after a week.
    """

    def __init__(self, settings: RaterSettings, ledger: Path) -> None:
        super().__init__(settings)
        self.ledger = BatchLedger(ledger / self.id)

    def ask_all(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Reply | QuestionError]]:
        """Each question with its answer, in any order; an answer was received once the next one is asked for.

        What the provider failed to answer, or had no time for, is sent again in another batch, up to LINE_TRIES times.
        Raises RaterEndpointError where it cannot be reached or a batch failed for a reason that may pass, and
        RaterRefusedError where it refuses key, model or batch, has no batch API, or a person cancelled the batch.
        """
        left = {question.digest: question for question in questions}
        failures: dict[str, str] = {}
        for tries in range(LINE_TRIES):
            dialect = self.dialect  # in which this round's questions are written, whatever is learned from answers
            for sent in self._sent(left):
                wanted = [digest for digest in sent.questions if digest in left]
                for digest, answer in self._answers(sent, {digest: left[digest] for digest in wanted}, dialect):
                    if isinstance(answer, LineError):
                        failures[digest] = self.masked(answer.message)
                    elif digest in left:
                        if isinstance(answer, Reply):
                            answer = replace(answer, retries=tries)
                        else:
                            answer.requests += tries
                        yield left.pop(digest), answer
                self.ledger.received(sent, wanted)
            if not left:
                return
            log.warning("%d questions were not answered by the batch API; they are sent again", len(left))
        for digest, question in left.items():
            said = failures.get(digest, "the batch ended without it")
            said = f"not answered in {LINE_TRIES} batches: {said}"
            yield question, QuestionError("endpoint_error", said, requests=LINE_TRIES)

    def _sent(self, left: dict[str, Question]) -> list[Sent]:
        """Batches that together hold the questions: those that are under way, and new ones for the rest."""
        with self.ledger.locked():
            known = [batch for each in self.ledger.read() if (batch := self._found_again(each)) is not None]
            under_way = [sent for sent in known if any(digest in left for digest in sent.questions)]
            here = {digest for sent in under_way for digest in sent.questions}
            if under_way:
                log.info("%d batches that were sent before are waited for", len(under_way))
            rest = [question for digest, question in left.items() if digest not in here]
            return under_way + [self._send(lines) for lines in self._divided(rest)]

    def _found_again(self, sent: Sent) -> Sent | None:
        """The batch of a ledger's entry; None, and the entry is forgotten, where it was never sent or is gone."""
        if sent.batch is not None:
            return sent
        # The process was killed after it had announced the batch. The provider knows whether it had sent it.
        for batch in self._called(lambda: self.clients.one.batches.list(limit=100)):
            if (batch.metadata or {}).get("datashop") == sent.name:
                return self.ledger.is_sent(sent, batch.id)
            if batch.created_at < sent.announced_at - 3600:
                break
        self.ledger.forget(sent)
        return None

    def _divided(self, questions: Sequence[Question]) -> Iterator[dict[str, bytes]]:
        """The lines of each batch by the digest of their question."""
        lines: dict[str, bytes] = {}
        size = 0
        for question in questions:
            body = request_body(question, self.settings.model, self.dialect)
            request = {"custom_id": question.digest, "method": "POST", "url": PATH, "body": body}
            line = json.dumps(request).encode() + b"\n"
            if lines and (len(lines) == MOST_QUESTIONS or size + len(line) > MOST_BYTES):
                yield lines
                lines, size = {}, 0
            lines[question.digest] = line
            size += len(line)
        if lines:
            yield lines

    def _send(self, lines: dict[str, bytes]) -> Sent:
        sent = self.ledger.announce(list(lines))
        content = (f"{sent.name}.jsonl", b"".join(lines.values()))
        file = self._called(lambda: self.clients.one.files.create(file=content, purpose="batch"))
        batch = self._called(
            lambda: self.clients.one.batches.create(
                input_file_id=file.id,
                endpoint=PATH,
                completion_window="24h",
                metadata={"datashop": sent.name},
            )
        )
        log.info("batch %s: %d questions sent", batch.id, len(lines))
        return self.ledger.is_sent(sent, batch.id)

    def _answers(
        self, sent: Sent, wanted: dict[str, Question], dialect: Dialect
    ) -> Iterator[tuple[str, Reply | QuestionError | LineError]]:
        """The answers of one batch, once it has ended: LineErrors are for another batch."""
        batch = self._ended(sent)
        if batch is None:
            self.ledger.forget(sent)
            return
        for file in (batch.output_file_id, batch.error_file_id):
            if file is not None:
                for line in self._content(file).split(b"\n"):
                    if line.strip() and (read := self._line(line, wanted, dialect)) is not None:
                        yield read
        if batch.status == "expired":
            log.warning("batch %s expired before all of its questions were answered", batch.id)
        if batch.status == "cancelled":
            self.ledger.forget(sent)
            raise RaterRefusedError(f"batch {batch.id} at {self.settings.base_url} was cancelled; run again to resend")
        if batch.status == "failed":
            self.ledger.forget(sent)
            errors = (batch.errors.data if batch.errors else None) or []
            said = self.masked("; ".join(f"{each.code}: {each.message}" for each in errors) or "no reason given")
            passing = any("limit" in str(each.code) for each in errors)
            kind = RaterEndpointError if passing else RaterRefusedError
            raise kind(f"batch {batch.id} at {self.settings.base_url} failed ({said}); mend that and run again")

    def _content(self, file: str) -> bytes:
        content: bytes = self._called(lambda: self.clients.one.files.content(file)).content
        return content

    def _ended(self, sent: Sent) -> Any:
        """The batch once it has ended, however long that takes; None where the provider no longer knows it."""
        pause, shown = FIRST_PAUSE_S, ""
        while True:
            try:
                batch = self._called(lambda: self.clients.one.batches.retrieve(sent.batch))
            except NotThereError:
                log.warning("batch %s is not known at %s; it is sent again", sent.batch, self.settings.base_url)
                return None
            counts = batch.request_counts
            done = f"{counts.completed} of {counts.total} answered, {counts.failed} failed" if counts else "no counts"
            if (now := f"batch {batch.id}: {batch.status}, {done}") != shown:
                log.info(now)
                shown = now
            if batch.status in ENDED:
                return batch
            time.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE_S)

    def _line(
        self, line: bytes, wanted: dict[str, Question], dialect: Dialect
    ) -> tuple[str, Reply | QuestionError | LineError] | None:
        """One line of an output or error file; None where nobody wants it any more."""
        try:
            content = json.loads(line)
            digest, response = content["custom_id"], content.get("response") or {}
            status, body = response.get("status_code", 0), response.get("body") or {}
        except (json.JSONDecodeError, KeyError, TypeError, AttributeError):
            log.warning("a line of a batch's file cannot be read: %s", self.masked(line[:200].decode(errors="replace")))
            return None
        question = wanted.get(digest)
        if question is None:
            return None
        if status == 200:
            try:
                return digest, read_completion(json.dumps(body).encode(), question)
            except NoLogprobsError:
                raise self.no_logprobs("its answer has none") from None
            except BrokenAnswerError as error:
                return digest, LineError(message=str(error))
        said = body.get("error") if isinstance(body, dict) else None
        fault = LineError.model_validate(_texts(said or content.get("error") or {}))
        return digest, self._refusal(status, fault, question, dialect)

    def _refusal(
        self, status: int, error: LineError, question: Question, dialect: Dialect
    ) -> QuestionError | LineError:
        """Whether a refused question is sent again, in other words where the model did not understand those."""
        if status in (401, 403):
            raise self.refused_key()
        if status == 404:
            raise RaterRefusedError(
                f"the endpoint {self.settings.base_url} does not serve the model {self.settings.model!r} in batches "
                f"({self.masked(error.message)}); correct `model`, or set batch_api to false"
            )
        if status == 0 or status >= 500 or status in PASSING:
            return error
        if self.learned(error, request_body(question, self.settings.model, dialect), dialect):
            return error
        return QuestionError(refusal_reason(error.message, error.code), f"HTTP {status}: {self.masked(error.message)}")

    def _called(self, call: Callable[[], T]) -> T:
        """A call of the provider's files or batches, with its errors told apart as everywhere."""
        import openai

        place = self.settings.base_url
        try:
            return call()
        except (openai.AuthenticationError, openai.PermissionDeniedError):
            raise self.refused_key() from None
        except openai.NotFoundError as error:
            raise NotThereError(
                f"the endpoint {place} has no such file, batch or batch API ({self.masked(error.message)}); set "
                "batch_api to false where it has none"
            ) from None
        except openai.APIStatusError as error:
            kind = RaterEndpointError if error.status_code >= 500 or error.status_code in PASSING else RaterRefusedError
            said = self.masked(error.message)
            raise kind(f"the batch API at {place} refuses (HTTP {error.status_code}: {said})") from None
        except openai.APIError as error:
            raise RaterEndpointError(
                f"no answer from the batch API at {place} ({type(error).__name__}); run again later: what was sent is "
                "found again"
            ) from None


def _texts(said: Any) -> dict[str, str | None]:
    """The parts of an error as texts; some providers give numbers as codes."""
    if not isinstance(said, dict):
        return {"message": str(said)}
    return {name: None if said.get(name) is None else str(said[name]) for name in ("code", "param")} | {
        "message": str(said.get("message") or "no message")
    }
