"""What is told of held-out documents: in the order of the rows, and null where it was not looked up."""

import polars as pl
import pytest

from datashop_assets.classifier import documents_seen
from datashop_assets.records import DOCUMENTS
from datashop_assets_tests.worlds import World


@pytest.fixture
def parsed(world: World) -> World:
    world.land_shards(2, documents=5)
    world.run("parse_and_embed_shards")
    return world


def test_rows_keep_their_order_and_unread_shards_have_no_language(
    parsed: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("py3langid")
    monkeypatch.setattr(documents_seen, "MOST_SHARDS", 1)
    rows = parsed.read(DOCUMENTS).select("shard", "id", "source", "text").sample(fraction=1, shuffle=True, seed=1)
    seen = documents_seen.documents_seen(parsed.lake, rows, None, 10)
    assert seen["source"].to_list() == rows["source"].to_list()
    unread = rows.filter(seen["language"].is_null())
    assert unread.height == 5
    assert unread["shard"].n_unique() == 1
    assert seen["cut"].null_count() == 10, "without a tokenizer nothing is known of any"


def test_texts_and_words_are_those_of_the_rows(parsed: World) -> None:
    rows = parsed.read(DOCUMENTS).select("shard", "id", "text").sort("id", descending=True)
    assert documents_seen.texts_for(parsed.lake, rows) == rows["text"].to_list()
    words = documents_seen.with_words(parsed.lake, rows.drop("text"), "teaching", "nobody")
    assert words["begins"].to_list() == [text[: documents_seen.BEGINNING] for text in rows["text"]]
    assert words["rationale"].null_count() == words.height


def test_no_rows_have_no_words(parsed: World) -> None:
    none = pl.DataFrame(schema={"shard": pl.String, "id": pl.String})
    assert documents_seen.with_words(parsed.lake, none, "teaching", "nobody").is_empty()
