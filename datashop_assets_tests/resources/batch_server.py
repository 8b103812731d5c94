"""A real HTTP server with files and batches as OpenAI's API has them; it answers a batch's lines by a script."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from datashop_assets_tests.resources.chat_server import Script


@dataclass
class BatchServer:
    """`script(document, nth time that it is asked)` gives status and body of a line, or None: no line at all.

    A batch ends at its `polls`-th look, as `ends` says for each in turn ("completed" where that is used up); never
    while `held`. `create_status` answers for the making of a batch, `batch_api` says whether there is one.
    """

    script: Script
    polls: int = 2
    ends: list[str] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    batch_api: bool = True
    create_status: int = 200
    base_url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    looks: dict[str, int] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def upload(self, content: bytes) -> str:
        name = f"file-{len(self.files)}"
        self.files[name] = content
        return name

    def create(self, body: dict[str, Any]) -> dict[str, Any]:
        name = f"batch-{len(self.batches)}"
        lines = [json.loads(line) for line in self.files[body["input_file_id"]].splitlines()]
        ids = [line["custom_id"] for line in lines]
        assert len(set(ids)) == len(ids), "a provider refuses a batch with one id twice"
        counts = {"total": len(lines), "completed": 0, "failed": 0}
        batch = {"id": name, "object": "batch", "status": "in_progress", "created_at": int(time.time())}
        given = ("input_file_id", "endpoint", "completion_window", "metadata")
        self.batches[name] = batch | {key: body[key] for key in given} | {"request_counts": counts}
        return self.batches[name]

    def look(self, name: str) -> dict[str, Any]:
        batch = self.batches[name]
        self.looks[name] = self.looks.get(name, 0) + 1
        if batch["status"] == "in_progress" and self.looks[name] >= self.polls and not self.held.is_set():
            self.end(batch, self.ends.pop(0) if self.ends else "completed")
        return batch

    def end(self, batch: dict[str, Any], status: str) -> None:
        output: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        if status == "failed":
            lines = []
            batch["errors"] = {"data": [{"code": "invalid_json_line", "message": "line 1"}], "object": "list"}
        for number, line in enumerate(lines):
            if status == "expired" and number >= len(lines) // 2:
                error = {"code": "batch_expired", "message": "no time left"}
                errors.append({"custom_id": line["custom_id"], "response": None, "error": error})
                continue
            document = line["body"]["messages"][-1]["content"].removeprefix("Rate: ")
            self.asked.append(document)
            answer = self.script(document, self.asked.count(document))
            if answer is not None:
                code, body = answer
                response = {"status_code": code, "request_id": "r", "body": body}
                (output if code == 200 else errors).append(
                    {"id": "l", "custom_id": line["custom_id"], "response": response, "error": None}
                )
        batch["status"] = status
        for key, content in (("output_file_id", output), ("error_file_id", errors)):
            # Providers give the lines in any order.
            text = "".join(json.dumps(line) + "\n" for line in reversed(content))
            batch[key] = self.upload(text.encode()) if content else None


@contextmanager
def serving_batches(script: Script, **changed: Any) -> Iterator[BatchServer]:
    server = BatchServer(script, **changed)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].removeprefix("/v1")
            with server.lock:
                if path == "/models":
                    self.reply(200, {"object": "list", "data": []})
                elif not server.batch_api:
                    self.reply(404, {"error": {"message": "unknown path"}})
                elif path == "/batches":
                    newest = list(reversed(server.batches.values()))
                    self.reply(200, {"object": "list", "data": newest, "has_more": False})
                elif path.endswith("/content"):
                    self.send(200, server.files[path.split("/")[2]])
                elif (name := path.split("/")[2]) in server.batches:
                    self.reply(200, server.look(name))
                else:
                    self.reply(404, {"error": {"message": f"no batch {name}"}})

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            with server.lock:
                if not server.batch_api:
                    self.reply(404, {"error": {"message": "unknown path"}})
                elif self.path == "/v1/files":
                    head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
                    parts = message_from_bytes(head + content).get_payload()
                    file = next(p for p in parts if p.get_filename()).get_payload(decode=True)  # type: ignore
                    name = server.upload(file)
                    self.reply(200, {"id": name, "object": "file", "purpose": "batch", "filename": "f", "bytes": 1})
                elif server.create_status != 200:
                    self.reply(server.create_status, {"error": {"message": "refused"}})
                else:
                    self.reply(200, server.create(json.loads(content)))

        def reply(self, status: int, body: Any) -> None:
            self.send(status, json.dumps(body).encode())

        def send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.base_url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
