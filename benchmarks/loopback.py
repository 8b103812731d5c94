"""An endpoint on loopback with a fixed latency and a fixed number of slots, for measuring a client and nothing else.

What belongs here: the smallest server that speaks chat completions and counts how long its slots are in use. What does
not: misbehaving (the tests' chat server does that), any model.

    python -m benchmarks.loopback --latency 0.2 --slots 64

It prints its port when it listens. `GET /used` tells what its slots did since it was last asked, and begins anew.
"""

import argparse
import asyncio
import json
import sys
import time
from typing import Any

ANSWER = json.dumps({"rationale": "It explains one idea and gives a reason for it.", "score": 3})
COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 0,
    "model": "loopback",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 900, "completion_tokens": 20, "total_tokens": 920},
}
MODELS = {"object": "list", "data": [{"id": "loopback", "object": "model"}]}


class Slots:
    """`count` slots; a question holds one for `latency` seconds, and waits where none is free."""

    def __init__(self, count: int, latency: float) -> None:
        self.count = count
        self.latency = latency
        self._free = asyncio.Semaphore(count)
        self._begin()

    def _begin(self) -> None:
        self.questions = self.in_use = self.most = 0
        self.held = 0.0
        self.first = self.last = 0.0

    async def hold(self) -> None:
        """Answer one question."""
        async with self._free:
            begun = time.perf_counter()
            self.first = self.first or begun
            self.questions += 1
            self.in_use += 1
            self.most = max(self.most, self.in_use)
            await asyncio.sleep(self.latency)
            self.last = time.perf_counter()
            self.held += self.last - begun
            self.in_use -= 1

    def used(self) -> dict[str, float]:
        """Questions, the seconds between the first question and the last answer, and the share of all slots' time in
        between that was in use."""
        span = self.last - self.first
        share = self.held / (span * self.count) if span else 0.0
        told = {"questions": self.questions, "seconds": span, "share": share, "most": self.most}
        self._begin()
        return told


async def serve(slots: Slots) -> None:
    """Listen on a free port of loopback, say which, and answer until the process ends."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
                if length:
                    await reader.readexactly(int(length))
                writer.write(_response(await _answered(head, slots)))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


async def _answered(head: bytes, slots: Slots) -> Any:
    if head.startswith(b"post"):
        await slots.hold()
        return COMPLETION
    return slots.used() if head.startswith(b"get /used") else MODELS


def _response(body: Any) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return head.encode() + content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds an answer takes")
    parser.add_argument("--slots", type=int, default=64)
    arguments = parser.parse_args()

    async def run() -> None:
        await serve(Slots(arguments.slots, arguments.latency))

    asyncio.run(run())


if __name__ == "__main__":
    main()
