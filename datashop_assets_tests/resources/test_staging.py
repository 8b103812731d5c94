"""Kept progress: in order, whole files only, and a damaged one is named."""

from pathlib import Path

import polars as pl
import pytest

from resources.staging import FolderProgress


def test_rows_come_back_in_the_order_they_were_kept_also_for_a_later_process(tmp_path: Path) -> None:
    progress = FolderProgress(tmp_path / "a" / "b")
    assert progress.scan() is None
    for n in range(12):
        FolderProgress(tmp_path / "a" / "b").append(pl.DataFrame({"n": [2 * n, 2 * n + 1]}))
    kept = progress.scan()
    assert kept is not None
    assert kept.collect()["n"].to_list() == list(range(24))


def test_what_a_kill_left_unfinished_is_not_read(tmp_path: Path) -> None:
    progress = FolderProgress(tmp_path)
    progress.append(pl.DataFrame({"n": [1]}))
    (tmp_path / "00000001.partial").write_bytes(b"PAR1 and then the power went")
    progress.append(pl.DataFrame({"n": [2]}))
    kept = progress.scan()
    assert kept is not None
    assert kept.collect()["n"].to_list() == [1, 2]


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "00000000.parquet").write_bytes(b"not parquet")
    with pytest.raises(OSError, match=r"00000000\.parquet.*delete it"):
        FolderProgress(tmp_path).scan()


def test_cleared_progress_is_gone(tmp_path: Path) -> None:
    progress = FolderProgress(tmp_path / "x")
    progress.append(pl.DataFrame({"n": [1]}))
    progress.clear()
    assert progress.scan() is None
    progress.clear()


def test_rows_that_an_earlier_release_kept_stand_beside_todays(tmp_path: Path) -> None:
    progress = FolderProgress(tmp_path)
    progress.append(pl.DataFrame({"n": [1]}))
    progress.append(pl.DataFrame({"n": [2], "added": ["x"]}))
    progress.append(pl.DataFrame({"n": [3], "added": ["y"]}))
    kept = progress.scan()
    assert kept is not None
    assert kept.collect().rows() == [(1, None), (2, "x"), (3, "y")]


def test_what_is_kept_after_a_commit_starts_anew(tmp_path: Path) -> None:
    progress = FolderProgress(tmp_path / "x")
    progress.append(pl.DataFrame({"n": [1]}))
    progress.clear()
    progress.append(pl.DataFrame({"n": [2]}))
    kept = progress.scan()
    assert kept is not None
    assert kept.collect()["n"].to_list() == [2]
