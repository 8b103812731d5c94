"""The official OpenAI client, one for each question in flight.

What belongs here: connections. What does not: what is asked over them (`chat_openai.py`, `openai_batch.py`).
"""

import queue
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from datashop_assets.project import RaterSettings

# Of the client, for 408, 409, 429, 5xx and lost connections: with pauses of 0.5 to 8 s, or as the server's Retry-After
# says, up to two minutes.
CLIENT_RETRIES = 6


class OpenAIClients:
    """Makes a client whenever all others are asking; for use by many threads.

    One client for all would keep its connections in one pool, which looks at every one of them, under one lock, at
    each request and at each answer: with 96 in flight that took .7 of 4.3 ms of the processor a question
    (`benchmarks.rating`, in turns, n=4).
    """

    def __init__(self, settings: RaterSettings, key: str) -> None:
        self._settings = settings
        self._key = key
        self._idle: queue.LifoQueue[Any] = queue.LifoQueue()  # last in, first out: few connections stay in use

    @cached_property
    def one(self) -> Any:
        """An `openai.OpenAI` for what is asked once in a while."""
        return self._made()

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The `httpx2.Response` to a body sent as it is. Raises openai.APIError."""
        import httpx2

        try:
            client = self._idle.get_nowait()
        except queue.Empty:
            client = self._made()
        try:
            # Not `chat.completions.create`, which spends 0.6 ms of 1.6 on comparing the body with its types: with
            # 64 questions in flight that is the difference between a busy endpoint and a busy client.
            return client.post(path, cast_to=httpx2.Response, body=body)
        finally:
            self._idle.put(client)

    @cached_property
    def _tls(self) -> Any:
        # One for all: reading the certificates takes 70 ms.
        import httpx2

        return httpx2.create_ssl_context()

    def _made(self) -> Any:
        import openai

        return openai.OpenAI(
            base_url=self._settings.base_url,
            api_key=self._key or "EMPTY",
            timeout=self._settings.timeout_s,
            max_retries=CLIENT_RETRIES,
            http_client=openai.DefaultHttpxClient(verify=self._tls),
        )
