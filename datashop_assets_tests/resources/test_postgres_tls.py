"""PostgreSQL over TLS: what the URL asks for is passed on, for the rating cache and for Dagster's instance."""

import asyncio
import queue
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
import yaml

from benchmarks.automation_instance import WITHOUT_POSTGRES, postgres_is_there
from benchmarks.automation_instance import postgres as server_without_tls
from datashop_assets.rating.questions import Reply
from datashop_assets_tests.certificates import Certificates, make_certificates
from resources.raters.answer_cache import AnswerCacheError, SqlAnswerCache

pytestmark = pytest.mark.skipif(not postgres_is_there(), reason=WITHOUT_POSTGRES)
PASSWORD = "password-that-must-not-show"
SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)  # how a client asks whether the server speaks TLS


@dataclass(frozen=True)
class Postgres:
    """A server behind TLS. `encrypted` are the first bytes of each connection after its handshake."""

    port: int
    certificates: Certificates
    encrypted: list[bytes]

    def url(self, authority: Path) -> str:
        login = f"postgres:{PASSWORD}@127.0.0.1:{self.port}/postgres"
        return f"postgresql+psycopg2://{login}?sslmode=verify-full&sslrootcert={authority}"


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The package's server was built without TLS: a proxy speaks it, as one before a managed database does."""
    made = make_certificates(tmp_path_factory.mktemp("certificates"))
    with server_without_tls() as url:
        behind = str(sa.make_url(url).query["host"]) + "/.s.PGSQL.5432"
        encrypted: list[bytes] = []
        ready: queue.Queue[int] = queue.Queue()
        end = threading.Event()
        serving = serve_tls(made.for_a_server(), behind, ready, encrypted, end)
        thread = threading.Thread(target=asyncio.run, args=(serving,), daemon=True)
        thread.start()
        yield Postgres(ready.get(timeout=30), made, encrypted)
        end.set()
        thread.join()


async def serve_tls(
    tls: ssl.SSLContext, behind: str, ready: "queue.Queue[int]", encrypted: list[bytes], end: threading.Event
) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == SSL_REQUEST
        writer.write(b"S")
        with suppress(ssl.SSLError, ConnectionError):  # a client that does not trust the certificate hangs up
            await writer.start_tls(tls)
            server_reader, server_writer = await asyncio.open_unix_connection(behind)
            first = await reader.read(65536)
            encrypted.append(first)
            server_writer.write(first)
            await asyncio.gather(copy(reader, server_writer), copy(server_reader, writer))

    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
        sink.close()

    async with await asyncio.start_server(carry, "127.0.0.1", 0) as server:
        ready.put(server.sockets[0].getsockname()[1])
        await asyncio.to_thread(end.wait)


def test_the_rating_cache_verifies_the_server_and_speaks_to_it_encrypted(postgres: Postgres) -> None:
    cache = SqlAnswerCache(postgres.url(postgres.certificates.authority)).of("m")
    cache.put("key", Reply("an answer", "stop"))
    found = cache.get("key")
    assert found is not None
    assert found.text == "an answer"
    assert any(b"postgres" in first for first in postgres.encrypted), "the login was read behind the handshake"


def test_a_server_that_another_authority_vouches_for_is_not_spoken_to(postgres: Postgres, tmp_path: Path) -> None:
    other = make_certificates(tmp_path)
    with pytest.raises(AnswerCacheError, match="certificate verify failed") as caught:
        SqlAnswerCache(postgres.url(other.authority)).get("key")
    assert PASSWORD not in str(caught.value)
    assert f"127.0.0.1:{postgres.port}" in str(caught.value)


def test_dagsters_instance_is_spoken_to_encrypted_as_well(postgres: Postgres, tmp_path: Path) -> None:
    """As the Helm chart writes it: `postgresqlParams` become `params`, `postgresqlScheme` the scheme."""
    database = {
        "username": "postgres",
        "password": PASSWORD,
        "hostname": "127.0.0.1",
        "db_name": "postgres",
        "port": postgres.port,
        "scheme": "postgresql+psycopg2",
        "params": {"sslmode": "verify-full", "sslrootcert": str(postgres.certificates.authority)},
    }
    settings = {"storage": {"postgres": {"postgres_db": database}}, "telemetry": {"enabled": False}}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    before = len(postgres.encrypted)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_runs_count() == 0
    assert len(postgres.encrypted) > before
