"""Rows come out by falling score, however small the parts are in which they are sorted."""

import tempfile
from pathlib import Path

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.filtering.best_first import best_first

ROWS = st.lists(st.tuples(st.sampled_from([-1.5, 0.0, 0.25, 3.0, 5.0]), st.text(max_size=20)), min_size=1, max_size=60)


@given(rows=ROWS, at_once=st.integers(1, 20), group=st.integers(1, 9), part_bytes=st.integers(1, 500))
def test_it_is_a_stable_sort_in_groups(
    rows: list[tuple[float, str]], at_once: int, group: int, part_bytes: int
) -> None:
    schema = {"score": pl.Float32, "text": pl.String}
    frame = pl.DataFrame(rows, schema=schema, orient="row").with_row_index()
    written: list[pl.DataFrame] = []
    with tempfile.TemporaryDirectory() as folder:
        with best_first(Path(folder) / "sort", written.append, group, part_bytes) as take:
            for some in frame.iter_slices(at_once):
                take(some)
        assert list(Path(folder).iterdir()) == []
    assert pl.concat(written).equals(frame.sort("score", descending=True, maintain_order=True))
    assert all(1 <= some.height <= group for some in written)
    sizes = [int(some["text"].str.len_bytes().sum()) for some in written]
    assert all(size <= part_bytes or some.height == 1 for size, some in zip(sizes, written, strict=True))


def test_long_texts_among_the_best_are_no_more_at_once_than_others(tmp_path: Path) -> None:
    frame = pl.DataFrame({"score": [1.0] * 4 + [0.0] * 96, "text": ["x" * 1000] * 4 + ["x"] * 96})
    written: list[pl.DataFrame] = []
    with best_first(tmp_path / "sort", written.append, 50, 1500) as take:
        take(frame)
    assert [some.height for some in written] == [1, 1, 1, 50, 47]


def test_groups_of_short_texts_are_as_large_as_they_may_be(tmp_path: Path) -> None:
    frame = pl.DataFrame({"score": [float(n % 7) for n in range(100)], "text": ["x" * 10] * 100})
    written: list[pl.DataFrame] = []
    with best_first(tmp_path / "sort", written.append, 30, 400) as take:
        take(frame)
    assert [some.height for some in written] == [30, 30, 30, 10]
