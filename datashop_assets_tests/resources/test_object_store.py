"""A store on which commits would vanish is refused, and every other fault names itself."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from resources.object_store import (
    ObjectStoreError,
    ObjectStoreRefusedError,
    UnsafeObjectStoreError,
    probe_conditional_put,
    s3_client,
    split_url,
)

SECRET = "a-secret-that-must-not-show"


def options(endpoint: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key-that-must-not-show",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }


class Careless(BaseHTTPRequestHandler):
    """A store that takes every write, whatever the condition."""

    protocol_version = "HTTP/1.1"
    status = 200
    deleted: list[str]

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(self.status)

    def do_DELETE(self) -> None:
        self.deleted.append(self.path)
        self.answer(204)

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(params=[200, 501], ids=["ignores the condition", "does not know it"])
def careless(request: pytest.FixtureRequest) -> Iterator[tuple[str, list[str]]]:
    deleted: list[str] = []
    handler = type("Handler", (Careless,), {"status": request.param, "deleted": deleted})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", deleted
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_store_that_ignores_the_condition_is_refused(careless: tuple[str, list[str]]) -> None:
    endpoint, _ = careless
    with pytest.raises(UnsafeObjectStoreError, match=r"s3://lake/prefix.*vanish silently.*Use a store"):
        probe_conditional_put("s3://lake/prefix", options(endpoint))


@pytest.mark.parametrize("careless", [200], indirect=True)
def test_the_probe_removes_its_object_there_too(careless: tuple[str, list[str]]) -> None:
    endpoint, deleted = careless
    with pytest.raises(UnsafeObjectStoreError):
        probe_conditional_put("s3://lake/prefix", options(endpoint))
    assert [path.split("_probe_")[0] for path in deleted] == ["/lake/prefix/_datashop"]


def test_a_real_store_passes_and_nothing_is_left(s3_url: str, s3_storage_options: dict[str, str]) -> None:
    probe_conditional_put(s3_url, s3_storage_options)
    bucket, prefix = split_url(s3_url)
    assert s3_client(s3_storage_options).list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] == 0


@pytest.mark.parametrize(
    ("change", "bucket", "cause"),
    [
        pytest.param({"AWS_SECRET_ACCESS_KEY": SECRET}, None, "SignatureDoesNotMatch", id="wrong secret"),
        pytest.param({"AWS_ACCESS_KEY_ID": "unknown-key"}, None, "InvalidAccessKeyId", id="wrong key"),
        pytest.param({}, "no-such-bucket", "NoSuchBucket", id="missing bucket"),
    ],
)
def test_a_wrong_setting_is_named_without_secrets(
    s3_url: str, s3_storage_options: dict[str, str], change: dict[str, str], bucket: str | None, cause: str
) -> None:
    url = s3_url if bucket is None else f"s3://{bucket}/prefix"
    used = s3_storage_options | change
    with pytest.raises(ObjectStoreRefusedError) as caught:
        probe_conditional_put(url, used)
    message = str(caught.value)
    assert not isinstance(caught.value, UnsafeObjectStoreError)
    assert url in message
    assert used["AWS_ENDPOINT_URL"] in message
    assert cause in message
    assert used["AWS_SECRET_ACCESS_KEY"] not in message
    assert used["AWS_ACCESS_KEY_ID"] not in message


def test_a_store_that_does_not_answer_is_named() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ObjectStoreError, match=f"s3://lake at {endpoint}.*Could not connect") as caught:
            probe_conditional_put("s3://lake", options(endpoint))
    assert SECRET not in str(caught.value)
    assert not isinstance(caught.value, ObjectStoreRefusedError), "it may answer the next time"


def test_plain_http_must_be_meant() -> None:
    with pytest.raises(ObjectStoreRefusedError, match="AWS_ALLOW_HTTP=true"):
        s3_client(options("http://127.0.0.1:1") | {"AWS_ALLOW_HTTP": "false"})


@pytest.mark.parametrize("url", ["gs://bucket/x", "/a/path", "s3://", "s3:///prefix"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ObjectStoreRefusedError, match="s3://bucket/prefix"):
        split_url(url)
