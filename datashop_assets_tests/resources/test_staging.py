"""Kept progress: in order, whole files only, nobody's rows lost to another process, and a damaged file is named."""

import os
import time
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
    assert numbers(progress) == [2]


def numbers(progress: FolderProgress) -> list[int]:
    kept = progress.scan()
    return [] if kept is None else kept.collect()["n"].to_list()


def rows(n: int) -> pl.DataFrame:
    return pl.DataFrame({"n": [n]})


class TestTwoProcesses:
    """Each has a FolderProgress of its own over the same folder."""

    def test_both_keep_all_of_their_rows(self, tmp_path: Path) -> None:
        one, other = FolderProgress(tmp_path), FolderProgress(tmp_path)
        for n in range(5):
            one.append(rows(n))
            other.append(rows(10 + n))
        assert sorted(numbers(one)) == sorted(numbers(other)) == [*range(5), *range(10, 15)]

    def test_what_came_after_the_last_look_is_not_cleared(self, tmp_path: Path) -> None:
        one, other = FolderProgress(tmp_path), FolderProgress(tmp_path)
        one.append(rows(1))
        other.append(rows(2))
        assert sorted(numbers(one)) == [1, 2]
        other.append(rows(3))
        one.clear()
        assert numbers(other) == [3]
        other.append(rows(4))
        assert numbers(other) == [3, 4]

    def test_clearing_does_not_take_a_file_that_is_being_written(self, tmp_path: Path) -> None:
        partial = tmp_path / "00000000-1-aa.partial"
        partial.write_bytes(b"PAR1")
        FolderProgress(tmp_path).clear()
        assert partial.exists()

    def test_what_a_kill_left_unfinished_long_ago_is_cleared_away(self, tmp_path: Path) -> None:
        partial = tmp_path / "x" / "00000000-1-aa.partial"
        partial.parent.mkdir()
        partial.write_bytes(b"PAR1")
        long_ago = time.time() - 10_000
        os.utime(partial, (long_ago, long_ago))
        FolderProgress(tmp_path / "x").clear()
        assert not partial.parent.exists()


def test_replaced_rows_are_gone_and_a_kill_in_between_leaves_the_new_ones_last(tmp_path: Path) -> None:
    progress = FolderProgress(tmp_path)
    for n in range(3):
        progress.replace(rows(n))
    assert numbers(FolderProgress(tmp_path)) == [2]
    before = next(tmp_path.glob("*.parquet")).read_bytes()
    progress.replace(rows(3))
    (tmp_path / "00000002-1-aa.parquet").write_bytes(before)
    assert numbers(FolderProgress(tmp_path)) == [2, 3]
