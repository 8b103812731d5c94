"""The checks of the filtering stage see what is missing and what was changed."""

import dagster as dg

from datashop_assets.records import FILTERED, RELEASES
from datashop_assets_tests.worlds import World, failure_of


def failed(result: dg.ExecuteInProcessResult) -> list[str]:
    return [e.check_name for e in result.get_asset_check_evaluations() if not e.passed]


def test_lost_verdicts_fail_the_check_and_an_altered_release_is_never_handed_on(world: World) -> None:
    world.land_shards(4)
    world.run_all("teaching")
    assert failed(world.run("filter_documents", "teaching")) == []
    assert failed(world.run("cut_release", "teaching")) == []

    table = FILTERED.of("teaching")
    rows = world.read(table).filter(shard="crawl-00001")
    cell = {"shard": "crawl-00001", "version": rows["version"][0]}
    world.lake.commit(table, rows.head(10), [cell], {})
    assert failed(world.run("filter_documents", "teaching")) == ["every_document_has_a_verdict"]
    world.lake.commit(table, rows, [cell], {})

    folder = world.profile.releases / world.read(RELEASES)["uri"].item()
    (data,) = (folder / "data").glob("*.parquet")
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    message = failure_of(world.run("cut_release", "teaching", fails=True))
    assert data.name in message
    assert "Remove it and run again" in message
