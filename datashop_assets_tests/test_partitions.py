"""Dagster's partition keys and our cells: the same thing said twice."""

import pytest

from datashop_assets.partitions import partition_key, range_tags
from datashop_assets.records import Cell
from datashop_assets_tests.worlds import World, metadata_of


@pytest.mark.parametrize(
    ("cell", "key"), [(Cell("crawl-00001"), "crawl-00001"), (Cell("crawl-00001", "teaching"), "teaching|crawl-00001")]
)
def test_a_cell_is_written_as_dagster_writes_it(cell: Cell, key: str) -> None:
    assert str(partition_key(cell)) == key


def test_a_range_of_one_lens_is_that_lens_and_the_shards_between(world: World) -> None:
    world.land_shards(4, documents=6)
    world.run("parse_and_embed_shards")
    result = world.run("rate_documents", "teaching", shards=world.shards[1:3])
    assert sorted(map(str, metadata_of(result, "annotations"))) == ["teaching|crawl-00001", "teaching|crawl-00002"]


def test_the_shards_of_a_run_are_worked_on_in_crawl_order(world: World) -> None:
    world.land_shards(5, documents=2)
    order: list[str] = []
    world.run("parse_and_embed_shards")
    world.judge = lambda text: order.append(text.split()[0]) or 1.0
    world.run("rate_documents", "teaching")
    numbers = [int(name.removeprefix("doc")) // 2 for name in order]
    assert numbers == sorted(numbers)


def test_range_tags_name_both_ends() -> None:
    assert set(range_tags("teaching", "a", "b").values()) == {"teaching|a", "teaching|b"}
