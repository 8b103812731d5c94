"""The S3 server that tests of the resources share: started once, and only when a test asks for it."""

from collections.abc import Iterator

import pytest

from datashop_assets_tests.object_store_server import ObjectStoreServer, object_store_server


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStoreServer]:
    with object_store_server(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture
def s3_storage_options(s3_server: ObjectStoreServer) -> dict[str, str]:
    return dict(s3_server.options)


@pytest.fixture
def s3_url(s3_server: ObjectStoreServer, request: pytest.FixtureRequest) -> str:
    """A prefix of the test's own."""
    safe = "".join(c if c.isalnum() else "-" for c in request.node.name)
    return f"{s3_server.url}/{safe}"
