"""What is published is whole, never changes, and can be read where it was not made; the same on a disk and on S3."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from datashop_assets.durable import files_below
from datashop_assets.seams import Exports
from resources.exports import open_exports
from resources.object_store import s3_client, split_url
from resources.stored_folders import StoredFolderError

FILES = {"README.md": b"a card", "data/train-00000.parquet": os.urandom(50_000), "manifest.json": b"{}"}
NAME = "teaching/0123abcd"


def make(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: path.read_bytes() for name, path in files_below(folder).items()}


@pytest.fixture
def s3(s3_url: str, s3_storage_options: dict[str, str], tmp_path: Path) -> Exports:
    return open_exports(f"{s3_url}/releases", tmp_path / "made", s3_storage_options)


@pytest.fixture
def elsewhere(s3_url: str, s3_storage_options: dict[str, str], tmp_path: Path) -> Exports:
    """The same exports on another machine."""
    return open_exports(f"{s3_url}/releases", tmp_path / "elsewhere", s3_storage_options)


def test_local_exports_are_made_where_they_stay(tmp_path: Path) -> None:
    exports = open_exports(str(tmp_path / "releases"), tmp_path / "unused", {})
    make(exports.folder(NAME), FILES)
    exports.publish(NAME)
    assert exports.place(NAME) == str(exports.folder(NAME)) == str(tmp_path / "releases" / NAME)
    assert contents(tmp_path / "releases" / NAME) == FILES
    assert not (tmp_path / "unused").exists()


def test_a_full_path_in_older_tables_leads_to_where_the_exports_are_now(tmp_path: Path, s3: Exports) -> None:
    local = open_exports(str(tmp_path / "now"), tmp_path, {})
    assert local.folder(f"/before/releases/{NAME}") == tmp_path / "now" / NAME
    assert s3.place(f"/before/releases/{NAME}").endswith(f"/releases/{NAME}")


def test_what_is_published_is_read_on_another_machine(s3: Exports, elsewhere: Exports) -> None:
    make(s3.folder(NAME), FILES)
    assert not elsewhere.folder(NAME).exists(), "not before it is published"
    s3.publish(NAME)
    assert contents(elsewhere.folder(NAME)) == FILES
    assert elsewhere.place(NAME) == s3.place(NAME)
    assert elsewhere.place(NAME).startswith("s3://")
    assert elsewhere.faults(NAME) == []


def test_the_same_again_is_a_no_op_and_other_content_is_refused(s3: Exports, elsewhere: Exports) -> None:
    make(s3.folder(NAME), FILES)
    s3.publish(NAME)
    s3.publish(NAME)
    make(elsewhere.folder(NAME), {"README.md": b"another card"})
    with pytest.raises(StoredFolderError, match=r"holds other content \(README\.md\)"):
        elsewhere.publish(NAME)
    assert s3.faults(NAME) == []


def test_a_killed_upload_leaves_nothing_that_counts_and_is_done_again(
    s3: Exports, elsewhere: Exports, s3_url: str, s3_storage_options: dict[str, str], tmp_path: Path
) -> None:
    """Killed before the manifest is written, after all files are there."""
    make(s3.folder(NAME), FILES)
    script = f"""
        import os, signal
        from pathlib import Path
        from resources import exports, stored_folders
        stored_folders.manifest_text = lambda checksums: os.kill(os.getpid(), signal.SIGKILL)
        made = Path({str(tmp_path / "made")!r})
        exports.open_exports({f"{s3_url}/releases"!r}, made, {s3_storage_options!r}).publish({NAME!r})
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False).returncode == -9
    bucket, prefix = split_url(s3.place(NAME))
    left = s3_client(s3_storage_options).list_objects_v2(Bucket=bucket, Prefix=prefix)
    assert left["KeyCount"] == len(FILES)
    assert not elsewhere.folder(NAME).exists()
    assert elsewhere.faults(NAME) == [f"there is no finished folder at {s3.place(NAME)}"]
    s3.publish(NAME)
    assert contents(elsewhere.folder(NAME)) == FILES


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        pytest.param("data/train-00000.parquet", b"altered", "data/train-00000.parquet was altered", id="altered"),
        pytest.param("manifest.json", None, "manifest.json is missing", id="missing"),
        pytest.param("data/more.parquet", b"x", "data/more.parquet is not listed in _COMPLETE.json", id="one more"),
    ],
)
def test_a_fault_in_the_bucket_is_named_though_the_local_copy_is_whole(
    s3: Exports, s3_storage_options: dict[str, str], name: str, content: bytes | None, fault: str
) -> None:
    make(s3.folder(NAME), FILES)
    s3.publish(NAME)
    bucket, prefix = split_url(s3.place(NAME))
    if content is None:
        s3_client(s3_storage_options).delete_object(Bucket=bucket, Key=f"{prefix}/{name}")
    else:
        s3_client(s3_storage_options).put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=content)
    assert s3.faults(NAME) == [fault]


def test_an_altered_file_is_not_taken_for_what_was_published(
    s3: Exports, elsewhere: Exports, s3_storage_options: dict[str, str]
) -> None:
    make(s3.folder(NAME), FILES)
    s3.publish(NAME)
    bucket, prefix = split_url(s3.place(NAME))
    s3_client(s3_storage_options).put_object(Bucket=bucket, Key=f"{prefix}/README.md", Body=b"altered")
    for _ in range(2):
        with pytest.raises(StoredFolderError, match=r"README\.md is not what was stored"):
            elsewhere.folder(NAME)


def test_what_is_made_anew_each_time_replaces_its_files(s3: Exports, s3_storage_options: dict[str, str]) -> None:
    for content in (b"first", b"second"):
        make(s3.folder("teaching"), {"classes.csv": content})
        s3.refresh("teaching")
    bucket, prefix = split_url(s3.place("teaching"))
    stored = s3_client(s3_storage_options).get_object(Bucket=bucket, Key=f"{prefix}/classes.csv")
    assert stored["Body"].read() == b"second"


def test_credentials_never_show(s3: Exports, s3_storage_options: dict[str, str]) -> None:
    assert s3_storage_options["AWS_SECRET_ACCESS_KEY"] not in repr(s3)
