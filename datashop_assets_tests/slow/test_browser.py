"""What a person sees in the browser: the graph, and the pages of assets that were made."""

import pytest

from datashop_assets_tests.slow.browsing import Person
from datashop_assets_tests.slow.small_project import DATASET, LENS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GROUPS = ("corpus", "embedding", "rating", "classifier", "scoring", "filtering")
ASSETS = (
    "landing_files",
    "documents",
    "embeddings",
    "annotations",
    "classifier",
    "promotion",
    "scores",
    "cutoff",
    "filtered_documents",
    "release",
)


def test_the_graph_shows_every_stage_and_asset(person: Person) -> None:
    person.open("asset-groups")
    person.see(*GROUPS)
    person.page.keyboard.press("Alt+KeyE")  # expand all groups
    person.see(*ASSETS)


def test_a_trained_classifier_shows_its_metrics_and_pictures(person: Person) -> None:
    person.open_partition("classifier", LENS)
    person.see("Materialized", "verdict", "metrics", "mae_gain_over_mean", "confusion matrix", "calibration")
    assert person.picture_width("confusion matrix", "confusion matrix") > 100, "drawn, not only linked"


def test_the_partitions_of_documents_are_the_shards(person: Person) -> None:
    person.open("assets/documents?view=partitions")
    person.see(f"{DATASET}-00000", f"{DATASET}-00001")


def test_an_asset_says_what_it_costs_and_when_to_make_it_by_hand(person: Person) -> None:
    person.open("assets/annotations?view=overview")
    person.see("Costs:", "By hand:")


def test_a_release_leads_to_the_tables_that_it_was_made_of(person: Person) -> None:
    person.open_partition("release", LENS)
    person.see("dagster/row_count", "20")
    made_of = person.page.locator("tr").filter(has_text=f"made of filtered_documents/{LENS} at version")
    made_of.get_by_role("link").first.click()
    person.page.wait_for_url("**/assets/filtered_documents**")
