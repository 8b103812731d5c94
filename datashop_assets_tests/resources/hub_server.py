"""A model hub of one process: as much of the Hugging Face hub's protocol as a push of small files needs."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_secret"


class Hub:
    """`files` by repository; `commits` are their messages; `private` the repositories that were made so."""

    def __init__(self) -> None:
        self.address = ""
        self.files: dict[str, dict[str, bytes]] = {}
        self.commits: list[str] = []
        self.private: set[str] = set()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        route = path.partition("?")[0].removeprefix("/api/")
        if method == "POST" and route == "repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
            taken = name in self.files
            self.files.setdefault(name, {})
            self.private |= {name} if asked.get("private") or asked.get("visibility") == "private" else set()
            return (409 if taken else 200), {"url": f"{self.address}/{name}"}
        if route == "validate-yaml":  # of the card
            return 200, {"errors": [], "warnings": []}
        parts = route.split("/")
        if parts[0] != "models" or len(parts) < 3 or "/".join(parts[1:3]) not in self.files:
            return 404, {"error": "Repository not found"}
        name, files = "/".join(parts[1:3]), self.files["/".join(parts[1:3])]
        if method == "GET":
            siblings = [{"rfilename": file} for file in files]
            tree = [{"type": "file", "path": file, "size": len(files[file]), "oid": "0"} for file in files]
            return 200, tree if "tree" in parts else {"id": name, "sha": "0" * 40, "siblings": siblings}
        if "preupload" in parts:
            asked = [file["path"] for file in json.loads(body)["files"]]
            return 200, {"files": [{"path": file, "uploadMode": "regular", "shouldIgnore": False} for file in asked]}
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "header":
                self.commits.append(entry["value"]["summary"])
            elif entry["key"] == "file":
                files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "deletedFile":
                del files[entry["value"]["path"]]
        return 200, {"commitUrl": f"{self.address}/{name}/commit/{len(self.commits)}", "commitOid": "0" * 40}


@contextmanager
def hub_server() -> Iterator[Hub]:
    """A hub on a free port of this machine; only requests with TOKEN are answered."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
            code, said = hub.answer(self.command, self.path, body) if allowed else (401, {"error": "no"})
            content = json.dumps(said).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = reply  # noqa: N815 - the names are the library's

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
