"""What a change makes anew, and what it leaves alone: a cut-off no scores, a head on the same encoder no text."""

from collections.abc import Collection, Mapping

import polars as pl
import pytest

from datashop_assets.example_texts import EXAMPLES
from datashop_assets.records import DOCUMENTS, FILTERED, SCORES, TableSpec
from datashop_assets_tests.worlds import World
from resources.lake import DeltaLake

LENS = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}
SHARDS = 3


@pytest.fixture
def filtered(world: World) -> World:
    """Three shards, filtered by a first classifier."""
    return world.once(reconcile_three_shards)


def reconcile_three_shards(world: World) -> None:
    world.land_shards(SHARDS)
    world.run("parse_and_embed_shards")
    world.run("rate_documents", "teaching")
    world.run("train_and_promote_classifier", "teaching")
    assert world.reconcile() == ["score_documents", "set_cutoff", "filter_documents"]


def forbid_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on whoever reads a text of the table of documents fails, but for the few examples that the page of a
    cut-off shows."""
    scan = DeltaLake.scan

    def refuse(_: pl.Series) -> pl.Series:
        raise AssertionError("a text was read")

    def guarded(
        self: DeltaLake,
        table: TableSpec,
        where: Mapping[str, Collection[str]] | None = None,
        version: int | None = None,
    ) -> pl.LazyFrame:
        rows = scan(self, table, where, version)
        if table.name != DOCUMENTS.name:
            return rows
        return rows.with_columns(pl.col("text").map_batches(refuse, return_dtype=pl.String))

    def shown(_: DeltaLake, wanted: pl.DataFrame) -> pl.DataFrame:
        assert wanted.height <= 4 * EXAMPLES
        return wanted.with_columns(text=pl.lit("a text"))

    monkeypatch.setattr(DeltaLake, "scan", guarded)
    monkeypatch.setattr("datashop_assets.filtering.examples.beginnings", shown)


def changed(world: World, before: Mapping[str, int | None]) -> set[str]:
    """The tables with a new version, but for the sensor's own notes and the summaries that cut-offs are decided by."""
    after = world.table_versions()
    return {name for name, version in after.items() if before.get(name) != version and "sketches" not in name}


def test_texts_are_guarded(filtered: World, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid_texts(monkeypatch)
    assert filtered.lake.scan(DOCUMENTS).select("id").collect().height == SHARDS * 40
    with pytest.raises(Exception, match="a text was read"):
        filtered.lake.scan(DOCUMENTS).select("id", "text").collect()


def test_a_changed_cutoff_touches_cutoff_and_filtered_documents_alone(
    filtered: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, kept = filtered.table_versions(), filtered.read(FILTERED.of("teaching"))["kept"].sum()
    filtered.change_project(lenses={"teaching": LENS | {"cutoff": {"keep_fraction": 0.5}}, "clarity": LENS})
    forbid_texts(monkeypatch)
    assert filtered.reconcile() == ["set_cutoff", "filter_documents"]
    assert changed(filtered, before) == {"cutoffs", "filtered_documents/teaching"}
    assert filtered.read(FILTERED.of("teaching"))["kept"].sum() > kept


def test_a_new_head_on_the_same_encoder_reads_no_text_and_encodes_nothing(
    filtered: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lens = LENS | {"recipe": {"model": {"kind": "linear", "l2": [0.5]}}}
    filtered.change_project(lenses={"teaching": lens, "clarity": LENS})
    filtered.run("train_and_promote_classifier", "teaching")
    before = filtered.table_versions()
    forbid_texts(monkeypatch)
    assert filtered.reconcile() == ["score_documents", "set_cutoff", "filter_documents"]
    assert changed(filtered, before) == {"scores/teaching", "cutoffs", "filtered_documents/teaching"}
    scored = filtered.read(SCORES.of("teaching"))
    assert scored["classifier"].n_unique() == 2, "the earlier one's scores are still there"


def test_a_roll_back_scores_nothing_and_reads_no_text(filtered: World, monkeypatch: pytest.MonkeyPatch) -> None:
    first = filtered.read(SCORES.of("teaching"))["classifier"][0]
    lens = LENS | {"recipe": {"model": {"kind": "linear", "l2": [0.5]}}}
    filtered.change_project(lenses={"teaching": lens, "clarity": LENS})
    filtered.run("train_and_promote_classifier", "teaching")
    filtered.reconcile()
    before = filtered.table_versions()
    assert filtered.promote("teaching", classifier=first, by="ada", note="menus came back").success
    forbid_texts(monkeypatch)
    assert filtered.reconcile() == ["set_cutoff", "filter_documents"]
    assert changed(filtered, before) == {"promotions", "cutoffs", "filtered_documents/teaching"}
