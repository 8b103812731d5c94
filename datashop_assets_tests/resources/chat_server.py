"""A real HTTP server on a real socket that answers chat completions by a script, and misbehaves by it too."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Any]
DROPPED, CUT = object(), object()
Script = Callable[[str, int], Reply]


@dataclass
class ChatServer:
    """`script(document, nth time that it is asked)` gives status and body; `requests` keeps what was asked.

    A body of bytes is sent as it is. DROPPED closes the connection instead of answering, CUT in the middle of an
    answer. `models_statuses` are what the next requests for its models get, before `models_status`. `tokens` are what a
    vLLM server's /tokenize gives for a text; where it has none, its error quotes the key.
    """

    script: Script
    base_url: str = ""
    models_status: int = 200
    models_statuses: list[int] = field(default_factory=list)
    models: list[dict[str, Any]] = field(default_factory=list)
    retry_after: str | None = "0.05"
    tokens: Callable[[str], list[int]] | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def asked(self, document: str) -> list[dict[str, Any]]:
        return [r for r in self.requests if r["messages"][-1]["content"] == f"Rate: {document}"]


def says(content: str | None, refusal: str | None = None, finish: str = "stop") -> Reply:
    message = {"role": "assistant", "content": content, "refusal": refusal}
    return 200, {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13},
    }


def fails(status: int, message: str) -> Reply:
    return status, {"error": {"message": message, "type": "error", "code": status}}


@contextmanager
def serving(script: Script, models_status: int = 200, tls: ssl.SSLContext | None = None) -> Iterator[ChatServer]:
    server = ChatServer(script, models_status=models_status)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status = server.models_statuses.pop(0) if server.models_statuses else server.models_status
            self.reply(status, {"object": "list", "data": server.models})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/tokenize":
                quoting = fails(404, f"no such page for {self.headers['Authorization']}")
                self.reply(*((200, {"tokens": server.tokens(body["prompt"])}) if server.tokens else quoting))
                return
            document = body["messages"][-1]["content"].removeprefix("Rate: ")
            with server.lock:
                server.requests.append(body)
                server.keys.append(self.headers["Authorization"])
                times = len(server.asked(document))
            self.reply(*server.script(document, times))

        def reply(self, status: int, body: Any) -> None:
            if body is DROPPED or server.closed:
                self.close_connection = True
                return
            data = body if isinstance(body, bytes) else b"" if body is CUT else json.dumps(body).encode()
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "500" if body is CUT else str(len(data)))
                if status == 429 and server.retry_after is not None:
                    self.send_header("Retry-After", server.retry_after)
                self.end_headers()
                if body is CUT:
                    data = b'{"choices": [{"mess'
                    self.close_connection = True
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True  # the client gave up waiting, as a test wants

        def log_message(self, *_: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        http.socket = tls.wrap_socket(http.socket, server_side=True)
    server.base_url = f"{'http' if tls is None else 'https'}://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closed = True  # for the connections that are still open, each with a thread of its own
        http.shutdown()
        http.server_close()
        thread.join()
