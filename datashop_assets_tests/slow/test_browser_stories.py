"""The four stories of the guide (`docs/guide.md`), clicked through as a person does, on one running product.

They build on each other in this order, as a day's work does: later ones need what earlier ones left.
"""

import pytest

from datashop_assets_tests.slow.browsing import RUN_MS, Person
from datashop_assets_tests.slow.small_project import (
    DATASET,
    GOOD,
    LENS,
    SmallProject,
    drop_crawl_file,
    texts,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

NEW = f"{DATASET}-00002"
GOOD_ROWS, EMPTY_ROWS = 20, 12


def test_an_asset_is_materialized_from_its_page_and_shows_what_it_did(person: Person) -> None:
    before = person.materializations("cutoff", LENS)
    dialog = person.materialize()
    dialog.get_by_role("button", name="Launch 1 run").click()
    dialog.wait_for(state="hidden")
    person.wait_for_another("cutoff", LENS, before)
    assert person.read("documents") == "80"
    assert person.read("kept share") == "0.25"
    assert person.read("why").startswith("unchanged")
    assert person.picture_width("scores", "scores over the whole corpus") > 100
    assert person.picture_width("funnel", "documents left") > 100
    examples = person.entry("around the cut-off").inner_text()
    assert "kept" in examples
    assert "dropped" in examples


def test_a_backfill_over_a_range_of_shards_is_launched_and_runs_to_its_end(person: Person) -> None:
    shards = [f"{DATASET}-00000", f"{DATASET}-00001"]
    before = {shard: person.materializations("filtered_documents", f"{LENS}|{shard}") for shard in shards}
    person.open("assets/filtered_documents?view=partitions")
    dialog = person.materialize()
    person.choose(dialog, [LENS])
    person.choose(dialog, shards)
    dialog.get_by_role("button", name="Launch backfill").click()
    dialog.wait_for(state="hidden")
    person.open("runs?view=backfills")
    person.page.locator("a[href*='/runs/b/']").first.click()
    person.see("Succeeded", "100% completed", within_ms=RUN_MS)
    for shard in shards:
        assert person.materializations("filtered_documents", f"{LENS}|{shard}") == before[shard] + 1
        assert person.read("dagster/partition_row_count") == "40"
        assert person.read("skipped") == "true", "what stands is not made again"


def test_a_new_crawl_is_taken_in_when_the_sensors_are_switched_on(person: Person, walked: SmallProject) -> None:
    switch(person, "landing_sensor", on=False)
    rows = texts(GOOD_ROWS // 2, skip=200) + [{"source": GOOD, "text": ""}] * EMPTY_ROWS
    drop_crawl_file(walked.landing, "part-90.jsonl.gz", rows)
    switch(person, "landing_sensor", on=True)
    person.wait_for("assets/documents?view=partitions", NEW)
    person.wait_for("runs", "parse_and_embed_shards", "reconcile_sensor")
    person.wait_for(f"assets/documents?view=partitions&partition={NEW}", "Materialized")
    assert person.read("dagster/partition_row_count") == str(GOOD_ROWS)


def test_the_report_says_why_a_check_failed(person: Person) -> None:
    person.open("assets/documents?view=checks&checkDetail=few_rows_are_quarantined")
    person.see("Failed", within_ms=RUN_MS)
    why = person.read("why")
    assert f"reasons {EMPTY_ROWS} empty_text" in why
    assert f"dataset {DATASET}" in why
    person.open("assets/classifier?view=checks&checkDetail=beats_the_mean_predictor")
    person.see("Passed")
    assert person.read("verdict").startswith("beats predicting the mean score")


def switch(person: Person, sensor: str, on: bool) -> None:
    """Turn a sensor on or off on its page."""
    person.open(f"locations/datashop/sensors/{sensor}")
    toggle = person.entry("Running").locator("input[type=checkbox]")
    toggle.wait_for(state="attached")
    assert toggle.is_checked() is not on
    toggle.locator("xpath=..").click()
    person.page.wait_for_function("([box, on]) => box.checked === on", arg=[toggle.element_handle(), on])
