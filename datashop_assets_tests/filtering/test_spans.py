"""Spans are cut out of the texts that they belong to, and of no other."""

from collections.abc import Iterator

import polars as pl
import pytest

from datashop_assets.filtering.spans import without_spans

TEXT = "a😀b\n\nrepeated\n\nend"


def spans(*rows: tuple[str, int, int]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema={"id": pl.String, "start": pl.Int64, "end": pl.Int64}, orient="row")


SPANS = {"one": spans(("d1", 1, 2), ("d1", 5, 15)), "two": spans(("d9", 0, 1))}


def frames() -> Iterator[pl.DataFrame]:
    yield pl.DataFrame({"shard": "one", "id": ["d0", "d1"], "text": [TEXT, TEXT], "score": [1.0, 2.0]})
    yield pl.DataFrame({"shard": ["one", "two"], "id": ["d2", "d1"], "text": [TEXT, TEXT], "score": [3.0, 4.0]})


def test_characters_are_cut_by_shard_and_id_and_counted() -> None:
    asked: list[str] = []

    def spans_of(shard: str) -> pl.DataFrame:
        asked.append(shard)
        return SPANS[shard]

    found = pl.concat(list(without_spans(frames(), spans_of)))
    assert found["text"].to_list() == [TEXT, "ab\n\nend", TEXT, TEXT]
    assert found["characters_removed"].to_list() == [0, 11, 0, 0]
    assert found["id"].to_list() == ["d0", "d1", "d2", "d1"]
    assert found["score"].to_list() == [1.0, 2.0, 3.0, 4.0]
    assert asked == ["one", "two"], "a shard's spans are read once for all its frames"


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param([("d1", 2, 999)], id="behind the end of the text"),
        pytest.param([("d1", 0, 3), ("d1", 2, 4)], id="overlapping"),
    ],
)
def test_spans_of_another_text_are_refused_by_name(bad: list[tuple[str, int, int]]) -> None:
    with pytest.raises(ValueError, match=r"document d1 of shard one.*materialize `repeated_paragraphs` again"):
        list(without_spans(frames(), lambda shard: spans(*bad) if shard == "one" else SPANS[shard]))
