"""The corpus check: a landing whose rows are mostly no documents is seen, by its dataset."""

from datashop_assets_tests.worlds import World


def test_too_many_quarantined_rows_are_a_warning_that_names_dataset_and_reason(world: World) -> None:
    world.land("a", range(18), lines=["not json", '{"text": ""}'])
    world.register()
    result = world.run("parse_and_embed_shards")
    (check,) = [e for e in result.get_asset_check_evaluations() if e.check_name == "few_rows_are_quarantined"]
    assert not check.passed
    shown = str(check.metadata["by dataset and reason"].value)
    assert "crawl" in shown
    assert "empty" in shown
    assert "1 empty_text" in str(check.metadata["why"].value), "in words too: the page shows tables after a click"
    assert check.metadata["largest quarantined share"].value == 0.1


def test_few_quarantined_rows_are_no_warning(world: World) -> None:
    world.land("a", range(39), lines=["not json"])
    world.register()
    result = world.run("parse_and_embed_shards")
    assert all(e.passed for e in result.get_asset_check_evaluations())
