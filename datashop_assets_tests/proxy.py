"""A proxy for tests between a client and an HTTP server: it sees what passes, and stops or cuts it as a test says.

It looks into plain HTTP/1.1 only, and passes on the bytes as they came, so that signed requests stay valid.
"""

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CHUNK = 65_536
REQUEST = re.compile(rb"(GET|PUT|POST|HEAD|DELETE) \S+ HTTP/1\.1\r\n")
ANSWER = re.compile(rb"HTTP/1\.1 (\d{3})")


class CutError(Exception):
    """Raised by a `watch`: nothing more passes on this connection, and both of its ends are closed."""


# Told of each request, as "PUT /path", before it is passed on (with None), and again with the status of its answer.
Watch = Callable[[str, int | None], None]


def watch_nothing(request: str, status: int | None) -> None: ...


@dataclass
class Proxy:
    """`url` leads to the server. While it is stopped, connections are taken and stay open, but nothing passes."""

    url: str
    watch: Watch = watch_nothing
    _flows: threading.Event = field(default_factory=threading.Event)
    _open: list[socket.socket] = field(default_factory=list)

    def stop(self) -> None:
        self._flows.clear()

    def resume(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Close all connections that there are, in the middle of whatever they carry."""
        for each in list(self._open):
            _close(each)


@contextmanager
def proxy_to(url: str, watch: Watch = watch_nothing) -> Iterator[Proxy]:
    """A proxy to the server at http://host:port, until the block ends."""
    target = urlsplit(url)
    address = (str(target.hostname), int(target.port or 80))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        proxy = Proxy(f"http://127.0.0.1:{listening.getsockname()[1]}", watch)
        proxy.resume()
        threading.Thread(target=_accept, args=(listening, address, proxy), daemon=True).start()
        try:
            yield proxy
        finally:
            _close(listening)
            proxy.resume()
            proxy.cut()


def _accept(listening: socket.socket, address: tuple[str, int], proxy: Proxy) -> None:
    with suppress(OSError):  # the end: it is closed
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_carry, args=(client, address, proxy), daemon=True).start()


def _carry(client: socket.socket, address: tuple[str, int], proxy: Proxy) -> None:
    """One connection: its requests on this thread, the answers on another."""
    asked = [""]
    with suppress(OSError), client, socket.create_connection(address) as server:
        proxy._open += [client, server]
        back = threading.Thread(target=_pass, args=(server, client, proxy, asked, ANSWER), daemon=True)
        back.start()
        _pass(client, server, proxy, asked, REQUEST)
        back.join()


def _pass(
    source: socket.socket, sink: socket.socket, proxy: Proxy, asked: list[str], begins: re.Pattern[bytes]
) -> None:
    try:
        while data := source.recv(CHUNK):
            proxy._flows.wait()
            if found := begins.match(data):
                if begins is REQUEST:
                    asked[0] = found.group().decode().rpartition(" ")[0]
                    proxy.watch(asked[0], None)
                else:
                    proxy.watch(asked[0], int(found.group(1)))
            sink.sendall(data)
    except (OSError, CutError):
        pass
    finally:
        _close(source)
        _close(sink)


def _close(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()
