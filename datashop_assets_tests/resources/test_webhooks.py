"""Posting to a webhook, against a real server on this machine."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from resources.webhooks import HttpWebhook, MessageRefusedError, WebhookError


@contextmanager
def receiver(*answers: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers with the statuses, then 204; its URL holds a secret. Yields it and what was received."""
    received: list[dict[str, Any]] = []
    waiting = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            received.append({"type": self.headers["Content-Type"], "path": self.path, "body": json.loads(content)})
            self.send_response(waiting.pop(0) if waiting else 204)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/hooks/secret-token", received
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def webhook(url: str | None, **settings: Any) -> HttpWebhook:
    return HttpWebhook("ALERTS_URL", url, timeout_s=60, pause_s=0.01, **settings)


def test_a_message_arrives_as_json() -> None:
    with receiver() as (url, received):
        webhook(url).post({"text": "ä run failed", "shards": ["a", "b"]})
    (got,) = received
    assert got == {
        "type": "application/json",
        "path": "/hooks/secret-token",
        "body": {"text": "ä run failed", "shards": ["a", "b"]},
    }


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_tried_again(status: int) -> None:
    with receiver(status, status) as (url, received):
        webhook(url).post({"text": "x"})
    assert len(received) == 3


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        pytest.param((404,), 1, id="a refusal is not repeated"),
        pytest.param((500, 502, 503), 3, id="a fault is repeated as often as it was asked for"),
    ],
)
def test_what_is_not_taken_is_an_error_that_names_the_answer_and_never_the_url(
    answers: tuple[int, ...], sent: int
) -> None:
    with receiver(*answers) as (url, received), pytest.raises(WebhookError) as caught:
        webhook(url).post({"text": "x"})
    assert len(received) == sent
    assert f"{answers[-1]}" in str(caught.value)
    assert f"{sent} attempts" in str(caught.value)
    assert "ALERTS_URL" in str(caught.value)
    assert "secret-token" not in str(caught.value) + repr(webhook(url))


@pytest.mark.parametrize(
    ("status", "for_good"),
    [
        pytest.param(400, True, id="a message that it does not understand"),
        pytest.param(413, True, id="a message that is too long"),
        pytest.param(403, False, id="a key that may be mended"),
        pytest.param(410, False, id="an address that may be mended"),
        pytest.param(500, False, id="a fault of its own"),
    ],
)
def test_a_message_is_refused_for_good_where_the_answer_is_about_the_message(status: int, for_good: bool) -> None:
    with receiver(*[status] * 3) as (url, _), pytest.raises(WebhookError) as caught:
        webhook(url).post({"text": "x"})
    assert isinstance(caught.value, MessageRefusedError) == for_good


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("http://127.0.0.1:9/secret-token", "could not be reached", id="nobody listens"),
        pytest.param(None, "set that variable", id="the variable is not set"),
        pytest.param("ftp://host/secret-token", "set that variable", id="not a web address"),
        pytest.param("http://host:secret-token/", "could not be reached", id="a malformed address"),
    ],
)
def test_a_url_that_leads_nowhere_is_an_error_without_it(url: str | None, message: str) -> None:
    with pytest.raises(WebhookError, match=message) as caught:
        webhook(url).post({"text": "x"})
    assert "secret-token" not in str(caught.value)
