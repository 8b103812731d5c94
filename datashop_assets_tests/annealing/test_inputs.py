"""What an anneal draws from: whole shards in a hash order, and no more of them than are needed."""

from pathlib import Path

import polars as pl
import pytest

from datashop_assets.annealing.inputs import draw_documents, has_characters, kept_documents
from datashop_assets.corpus.registry import register
from datashop_assets.filtering.release import ReleaseError
from datashop_assets.project import Landing, LensSettings, Project, RaterSettings
from datashop_assets.records import DOCUMENTS, CrawlFile, Shard
from datashop_assets_tests.workshops import filter_by_hand
from resources.lake import DeltaLake

PROJECT = Project(
    name="tiny",
    landings=(Landing(dataset="crawl", url="landing"),),
    raters={"r": RaterSettings(backend="exemplar_contrast", model="m")},
    lenses={"teaching": LensSettings(rater="r")},
)
SHARDS = [f"crawl-{number}" for number in range(6)]
EACH, LENGTH = 4, 10  # documents a shard, characters a document


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> DeltaLake:
    """Six shards, the last one for annotation alone; the lens keeps every second document of all but first and last."""
    lake = DeltaLake(str(tmp_path_factory.mktemp("lake")))
    shards = [Shard("crawl", key, n, (CrawlFile(f"{n}.jsonl", 1, "e"),), n == 5) for n, key in enumerate(SHARDS)]
    register(lake, shards, {})
    rows = [
        {"shard": key, "id": f"{key}/{row}", "text": "x" * LENGTH, "source": "web", "row": row, "version": "v"}
        for key in SHARDS
        for row in range(EACH)
    ]
    documents = pl.DataFrame(rows, schema=DOCUMENTS.schema)
    cells = [{"shard": key, "version": "v"} for key in SHARDS]
    lake.commit(DOCUMENTS, documents, cells, {})
    kept = documents.select((pl.col("row") % 2 == 0) & (pl.col("shard") != SHARDS[0])).to_series()
    filter_by_hand(lake, "teaching", documents, [float(keep) for keep in kept], keep_from=1.0)
    return lake


def shards_of(drawn: pl.DataFrame) -> list[str]:
    return drawn["id"].str.split("/").list.first().unique(maintain_order=True).to_list()


@pytest.mark.parametrize(
    ("characters", "shards"),
    [
        pytest.param(1, 1, id="one shard is always read"),
        pytest.param(40, 1, id="exactly what a shard has"),
        pytest.param(41, 2, id="a little more"),
        pytest.param(10_000, 5, id="more than there is: everything but the annotation pool"),
    ],
)
def test_whole_shards_are_drawn_until_there_is_enough(lake: DeltaLake, characters: int, shards: int) -> None:
    drawn = draw_documents(lake, PROJECT, 0, has_characters(characters))
    assert len(shards_of(drawn)) == shards
    assert drawn.height == shards * EACH
    assert SHARDS[5] not in shards_of(drawn)


def test_only_kept_documents_are_drawn_and_shards_without_any_are_passed_over(lake: DeltaLake) -> None:
    drawn = kept_documents(lake, "teaching", PROJECT, 10_000, 0)
    assert sorted(drawn["id"]) == [f"{key}/{row}" for key in SHARDS[1:5] for row in (0, 2)]
    assert kept_documents(lake, "teaching", PROJECT, 2 * LENGTH, 0).height == 2


def test_the_order_of_shards_is_the_seeds_and_always_the_same(lake: DeltaLake) -> None:
    orders = {seed: shards_of(draw_documents(lake, PROJECT, seed, lambda _: False)) for seed in range(4)}
    assert len({tuple(order) for order in orders.values()}) > 1
    assert shards_of(draw_documents(lake, PROJECT, 3, lambda _: False)) == orders[3]


def test_an_empty_corpus_gives_no_documents(tmp_path: Path) -> None:
    assert draw_documents(DeltaLake(str(tmp_path)), PROJECT, 0, has_characters(1)).is_empty()


def test_a_corpus_that_is_partly_filtered_by_another_cutoff_is_not_drawn_from(tmp_path: Path) -> None:
    lake = DeltaLake(str(tmp_path))
    register(lake, [Shard("crawl", key, n, (CrawlFile(key, 1, "e"),), False) for n, key in enumerate("ab")], {})
    rows = [{"shard": key, "id": key, "text": "x", "version": "v"} for key in "ab"]
    documents = pl.DataFrame(rows, schema=DOCUMENTS.schema)
    lake.commit(DOCUMENTS, documents, [{"shard": key, "version": "v"} for key in "ab"], {})
    filter_by_hand(lake, "teaching", documents, [1.0, 2.0], keep_from=1.0)
    assert kept_documents(lake, "teaching", PROJECT, 10, 0).height == 2

    filter_by_hand(lake, "teaching", documents.filter(shard="b"), [2.0], keep_from=2.0)
    with pytest.raises(ReleaseError, match="1 of 2 shards are not filtered"):
        kept_documents(lake, "teaching", PROJECT, 10, 0)


def test_shards_of_a_landing_that_the_project_no_longer_has_are_left_out(lake: DeltaLake) -> None:
    without = PROJECT.model_copy(update={"landings": (Landing(dataset="another", url="elsewhere"),)})
    assert draw_documents(lake, without, 0, has_characters(1)).is_empty()
    assert kept_documents(lake, "teaching", without, 1, 0).is_empty()
