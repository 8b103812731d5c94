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
