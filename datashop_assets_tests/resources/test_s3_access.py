"""Who may reach S3, and how: by static keys, by a role, over TLS; and what is refused before anything is sent."""

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from datashop_assets.project import ProjectError
from datashop_assets_tests.object_store_server import ObjectStoreServer
from datashop_assets_tests.worlds import write_project
from resources.object_store import ObjectStoreError, probe_conditional_put
from resources.profiles import profile_from_environment

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
UNTIL = "2099-01-01T00:00:00Z"


@contextmanager
def handing_out(answer: str, kind: str, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """A service that gives everybody who asks the same credentials."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        def do_GET(self) -> None:
            self.do_POST()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def static_keys(server: ObjectStoreServer, folder: Path) -> Iterator[dict[str, str]]:
    yield dict(server.options)


@contextmanager
def over_tls(server: ObjectStoreServer, folder: Path) -> Iterator[dict[str, str]]:
    keys = {name: value for name, value in server.options.items() if name != "AWS_ALLOW_HTTP"}
    trusted = {"AWS_CA_BUNDLE": str(server.authority), "SSL_CERT_FILE": str(server.authority)}
    yield keys | trusted | {"AWS_ENDPOINT_URL": server.https}


@contextmanager
def pod_identity(server: ObjectStoreServer, folder: Path) -> Iterator[dict[str, str]]:
    """As EKS Pod Identity and ECS tasks have it: an address of credentials, and a token for it."""
    key, secret = (server.options[name] for name in KEYS)
    given = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": "", "Expiration": UNTIL}
    with handing_out(json.dumps(given), "application/json") as url:
        yield without_keys(server) | {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{url}/credentials",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": token(folder),
        }


@contextmanager
def web_identity(server: ObjectStoreServer, folder: Path) -> Iterator[dict[str, str]]:
    """As a service account with a role has it: a projected token, exchanged at the token service."""
    key, secret = (server.options[name] for name in KEYS)
    parts = {"AccessKeyId": key, "SecretAccessKey": secret, "SessionToken": "", "Expiration": UNTIL}
    credentials = "".join(f"<{name}>{value}</{name}>" for name, value in parts.items())
    result = f"<Credentials>{credentials}</Credentials>"
    for name in ("AssumeRoleWithWebIdentityResult", "AssumeRoleWithWebIdentityResponse"):
        space = ' xmlns="https://sts.amazonaws.com/doc/2011-06-15/"' if name.endswith("Response") else ""
        result = f"<{name}{space}>{result}</{name}>"
    with handing_out(result, "text/xml", server.certificates.for_a_server()) as url:
        yield without_keys(server) | {
            "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/datashop",
            "AWS_WEB_IDENTITY_TOKEN_FILE": token(folder),
            "AWS_ROLE_SESSION_NAME": "datashop",
            "AWS_ENDPOINT_URL_STS": url,
            "AWS_CA_BUNDLE": str(server.authority),
            "SSL_CERT_FILE": str(server.authority),
        }


def without_keys(server: ObjectStoreServer) -> dict[str, str]:
    return {name: value for name, value in server.options.items() if name not in KEYS}


def token(folder: Path) -> str:
    (folder / "token").write_text("header.payload.signature")
    return str(folder / "token")


@pytest.mark.parametrize("access", [static_keys, over_tls, pod_identity, web_identity])
def test_every_client_gets_in(
    access: Callable[..., Iterator[dict[str, str]]], s3_server: ObjectStoreServer, s3_url: str, tmp_path: Path
) -> None:
    """boto3, delta-rs, Polars and s3fs, in a process that has nothing but its environment."""
    with access(s3_server, tmp_path) as given:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "DATASHOP_PROJECT": str(write_project(tmp_path)),
            "DATASHOP_LAKE": f"{s3_url}/lake",
            "DATASHOP_MODELS": f"{s3_url}/models",
        } | given
        command = [sys.executable, "-m", "datashop_assets_tests.resources.every_s3_client", str(tmp_path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["rows 1", "model {}", "landing ('m/1/config.json',)"], done.stderr[-2000:]


def test_an_unknown_authority_is_named_with_what_to_set(s3_server: ObjectStoreServer, s3_url: str) -> None:
    options = dict(s3_server.options) | {"AWS_ENDPOINT_URL": s3_server.https}
    with pytest.raises(ObjectStoreError, match=r"certificate verify failed.*AWS_CA_BUNDLE and SSL_CERT_FILE"):
        probe_conditional_put(s3_url, options)


def test_no_credentials_at_all_are_named_with_the_ways_to_give_some(
    s3_server: ObjectStoreServer, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(ObjectStoreError, match=r"Unable to locate credentials.*AWS_WEB_IDENTITY_TOKEN_FILE"):
        probe_conditional_put(s3_url, without_keys(s3_server))


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param({"AWS_ENDPOINT_URL": "http://store:8333"}, r"not encrypted.*AWS_ALLOW_HTTP=true", id="plain http"),
        pytest.param(
            {"FSSPEC_S3_ENDPOINT_URL": "http://store:8333", "AWS_ALLOW_HTTP": "false"},
            "FSSPEC_S3_ENDPOINT_URL is http://store:8333",
            id="plain http of the landings",
        ),
        pytest.param({"AWS_SECRET_ACCESS_KEY": "secret-value"}, "AWS_ACCESS_KEY_ID and AWS", id="half a key"),
        pytest.param({"AWS_ROLE_ARN": "arn:aws:iam::1:role/x"}, "AWS_WEB_IDENTITY_TOKEN_FILE go", id="half a role"),
        pytest.param({"AWS_CA_BUNDLE": "/nowhere.pem"}, "AWS_CA_BUNDLE is /nowhere.pem, which is no", id="no bundle"),
        pytest.param({"SSL_CERT_FILE": "/etc/hostname"}, "SSL_CERT_FILE is /etc/hostname, which is no", id="not PEM"),
    ],
)
def test_what_is_unsafe_or_half_is_refused_before_anything_is_sent(environment: dict[str, str], said: str) -> None:
    with pytest.raises(ProjectError, match=said) as caught:
        profile_from_environment(environment)
    assert "secret-value" not in str(caught.value)


def test_a_bundle_that_only_some_clients_would_read_is_refused(s3_server: ObjectStoreServer) -> None:
    with pytest.raises(ProjectError, match="Delta Lake and Polars read the second alone"):
        profile_from_environment({"AWS_CA_BUNDLE": str(s3_server.authority)})
