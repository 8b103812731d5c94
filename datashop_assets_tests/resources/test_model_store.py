"""A stored model is whole, never changes, and comes back as it was put; the same on a disk and on S3."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from datashop_assets.durable import files_below
from datashop_assets.seams import ModelStore
from resources.model_store import open_model_store
from resources.object_store import ObjectStoreError, s3_client, split_url
from resources.stored_folders import MANIFEST, StoredFolderError

FILES = {"config.json": b"{}", "1_Pooling/config.json": b"[]", "model.safetensors": os.urandom(100_000)}
NAME = "classifiers/educational_value/0123abcd"


def folder(at: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (at / name).parent.mkdir(parents=True, exist_ok=True)
        (at / name).write_bytes(content)
    return at


def contents(directory: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files_below(directory).items() if name != MANIFEST}


@pytest.fixture(params=["local path", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ModelStore:
    if request.param == "local path":
        return open_model_store(str(tmp_path / "a folder" / "models"), tmp_path / "cache")
    url, options = request.getfixturevalue("s3_url"), request.getfixturevalue("s3_storage_options")
    return open_model_store(f"{url}/models", tmp_path / "cache", options)


def test_what_is_put_is_fetched(store: ModelStore, tmp_path: Path) -> None:
    uri = store.put(NAME, folder(tmp_path / "made", FILES))
    assert uri == NAME, "what tables keep does not say where the store is"
    assert contents(store.fetch(store.place(uri))) == FILES, "as older tables name it"
    assert contents(store.fetch(uri)) == FILES
    assert store.fetch(uri) == store.fetch(uri)


def test_the_same_name_with_the_same_content_is_a_no_op(store: ModelStore, tmp_path: Path) -> None:
    first = store.put(NAME, folder(tmp_path / "made", FILES))
    assert store.put(NAME, folder(tmp_path / "made again", FILES)) == first


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(FILES | {"config.json": b"{ }"}, id="a file differs"),
        pytest.param(FILES | {"more.txt": b""}, id="a file more"),
        pytest.param({"config.json": b"{}"}, id="files missing"),
    ],
)
def test_a_name_never_changes_its_content(store: ModelStore, tmp_path: Path, other: dict[str, bytes]) -> None:
    uri = store.put(NAME, folder(tmp_path / "made", FILES))
    with pytest.raises(StoredFolderError, match="holds other content"):
        store.put(NAME, folder(tmp_path / "other", other))
    assert contents(store.fetch(uri)) == FILES


def test_a_model_that_is_not_there_is_named(store: ModelStore, tmp_path: Path) -> None:
    uri = store.put(NAME, folder(tmp_path / "made", FILES))
    with pytest.raises(FileNotFoundError, match=f"{NAME}-other"):
        store.fetch(f"{uri}-other")


def test_a_store_that_was_moved_has_its_models(tmp_path: Path) -> None:
    uri = open_model_store(str(tmp_path / "old"), tmp_path).put(NAME, folder(tmp_path / "made", FILES))
    old_table = str(tmp_path / "old" / uri)
    (tmp_path / "old").rename(tmp_path / "new")
    for named in (uri, old_table):
        assert contents(open_model_store(str(tmp_path / "new"), tmp_path).fetch(named)) == FILES


@pytest.mark.parametrize("name", ["", "/absolute", "../outside", "a/../b", "a/.hidden"])
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(StoredFolderError, match="cannot name a model"):
        open_model_store(str(tmp_path / "store"), tmp_path).put(name, folder(tmp_path / "made", FILES))


@pytest.mark.parametrize("make", [lambda p: p / "missing", lambda p: folder(p / "empty", {})], ids=["missing", "empty"])
def test_a_folder_without_files_is_no_model(make: Callable[[Path], Path], tmp_path: Path) -> None:
    with pytest.raises(StoredFolderError, match="empty, missing"):
        open_model_store(str(tmp_path / "store"), tmp_path).put(NAME, make(tmp_path))


def test_a_killed_writer_leaves_nothing_that_counts(tmp_path: Path) -> None:
    made, root = folder(tmp_path / "made", FILES), tmp_path / "store"
    script = f"""
        import os, shutil, signal
        from pathlib import Path
        from resources import model_store
        copy = shutil.copytree
        def copy_and_die(*args, **kwargs):
            copy(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)
        model_store.shutil.copytree = copy_and_die
        model_store.open_model_store({str(root)!r}, Path("/nonexistent")).put({NAME!r}, Path({str(made)!r}))
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert killed.returncode == -9
    store = open_model_store(str(root), tmp_path)
    with pytest.raises(FileNotFoundError):
        store.fetch(str(root / NAME))
    assert contents(store.fetch(store.put(NAME, made))) == FILES
    assert [path.name for path in (root / NAME).parent.iterdir() if path.is_dir()] == ["0123abcd"]


def test_s3_files_without_the_manifest_are_no_model_and_are_completed(
    s3_url: str, s3_storage_options: dict[str, str], tmp_path: Path
) -> None:
    bucket, prefix = split_url(s3_url)
    s3_client(s3_storage_options).put_object(Bucket=bucket, Key=f"{prefix}/{NAME}/config.json", Body=b"half")
    store = open_model_store(s3_url, tmp_path / "cache", s3_storage_options)
    with pytest.raises(FileNotFoundError):
        store.fetch(f"{s3_url}/{NAME}")
    assert contents(store.fetch(store.put(NAME, folder(tmp_path / "made", FILES)))) == FILES


def test_an_altered_s3_file_is_found_and_not_cached(
    s3_url: str, s3_storage_options: dict[str, str], tmp_path: Path
) -> None:
    store = open_model_store(s3_url, tmp_path / "cache", s3_storage_options)
    uri = store.put(NAME, folder(tmp_path / "made", FILES))
    bucket, prefix = split_url(store.place(uri))
    s3_client(s3_storage_options).put_object(Bucket=bucket, Key=f"{prefix}/config.json", Body=b"altered")
    for _ in range(2):
        with pytest.raises(StoredFolderError, match=r"config\.json is not what was stored"):
            store.fetch(uri)


def test_credentials_never_show(s3_url: str, s3_storage_options: dict[str, str], tmp_path: Path) -> None:
    options = s3_storage_options | {"AWS_SECRET_ACCESS_KEY": "wrong-and-secret"}
    store = open_model_store(s3_url, tmp_path, options)
    with pytest.raises(ObjectStoreError) as caught:
        store.put(NAME, folder(tmp_path / "made", FILES))
    for shown in (repr(store), str(store), str(caught.value)):
        assert "wrong-and-secret" not in shown
        assert options["AWS_ACCESS_KEY_ID"] not in shown


def test_an_unknown_kind_of_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoredFolderError, match="gs://"):
        open_model_store("gs://bucket/models", tmp_path)
