"""Webhooks: telling people of what needs them, by a POST of JSON to a URL that the project's owner chose.

What belongs here: sending one message, and saying why it could not be sent. What does not: what is told and when
(`datashop_assets/automation/alerts.py`). The URL is a secret, as it lets anybody write there: no message names it.
"""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any, Protocol

TIMEOUT_S = 10.0
ATTEMPTS = 3
PAUSE_S = 1.0
# Answers after which the same message may still be taken: too slow, too many at once. 5xx are those too.
PASSING = (408, 429)
# Answers about the message: the same one gets them for ever. Others (401, 404, 410) are about the place, and pass once
# a person has mended its address.
REFUSED = (400, 413, 422)


class WebhookError(RuntimeError):
    """A message that was not taken; the message says what the receiver answered, never its URL."""


class MessageRefusedError(WebhookError):
    """This message will never be taken; others may be."""


class Webhook(Protocol):
    """Somebody who is told."""

    def post(self, body: Mapping[str, Any]) -> None:
        """Send one message. Raises WebhookError where it was not taken, MessageRefusedError where it never will be."""
        ...


@dataclass(frozen=True)
class HttpWebhook:
    """POSTs to the URL. `variable` is the environment variable that it came from; without a URL every message fails."""

    variable: str
    url: str | None = field(repr=False)
    timeout_s: float = TIMEOUT_S
    attempts: int = ATTEMPTS
    pause_s: float = PAUSE_S

    def post(self, body: Mapping[str, Any]) -> None:
        """See Webhook. A receiver that does not answer, or answers that it cannot take it now, is asked `attempts`
        times in all, with a pause that doubles."""
        if not self.url or not self.url.startswith(("http://", "https://")):
            raise WebhookError(
                f"the project file's `automation.webhook_url_env` names {self.variable}; set that variable of the "
                "daemon's and the code server's environment to an http(s) URL"
            )
        for attempt in range(self.attempts):
            fault, passing, status = self._sent(self.url, json.dumps(body).encode())
            if fault is None:
                return
            if not passing:
                break
            if attempt + 1 < self.attempts:
                time.sleep(self.pause_s * 2**attempt)
        kind = MessageRefusedError if status in REFUSED else WebhookError
        raise kind(f"the webhook of {self.variable} took no message in {attempt + 1} attempts: {fault}")

    def _sent(self, url: str, content: bytes) -> tuple[str | None, bool, int | None]:
        """What went wrong, or None; whether it may pass at once; and the status of the answer that was no success."""
        request = urllib.request.Request(url, content, {"Content-Type": "application/json"}, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s):
                return None, False, None
        except urllib.error.HTTPError as error:
            return f"it answered {error.code}", error.code in PASSING or error.code >= 500, error.code
        except (OSError, ValueError, HTTPException) as error:  # unreachable, too slow, cut off; a malformed URL
            reason = error.reason if isinstance(error, urllib.error.URLError) else type(error).__name__
            return f"it could not be reached ({reason})", isinstance(error, OSError), None


@dataclass(frozen=True)
class ScriptedWebhook:
    """Keeps what it is told, for tests. `faults` are raised first, one a message."""

    told: list[Mapping[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def post(self, body: Mapping[str, Any]) -> None:
        """See Webhook."""
        if self.faults:
            raise WebhookError(self.faults.pop(0))
        self.told.append(body)
