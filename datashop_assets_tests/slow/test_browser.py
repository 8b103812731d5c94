"""What a person sees in the browser: the graph, and the pages of assets that were made."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from datashop_assets_tests.slow.dagster_dev import Served, dagster_dev
from datashop_assets_tests.slow.small_project import DATASET, LENS, drop_crawl, open_project, walk, write_project

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
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser_path() -> str:
    """A Chromium of the machine; without one there is nothing to look with."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine; install the package `chromium` to run the tests of the UI")
    return found


@pytest.fixture(scope="module")
def served(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """`dagster dev` on a small project on which the main path was walked."""
    folder = tmp_path_factory.mktemp("browser")
    project = open_project(write_project(folder, sample_per_shard=36), folder / "home")
    drop_crawl(project.landing, shards=2, documents=40)
    walk(project)
    with dagster_dev(project.environment, folder / "dagster-dev.log") as running:
        yield running


@pytest.fixture(scope="module")
def page(browser_path: str, served: Served) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=CHROMIUM_FLAGS)
        view = browser.new_page(viewport={"width": 1600, "height": 1000})
        view.set_default_timeout(60_000)
        view.goto(f"{served.url}/asset-groups")
        # A fresh instance asks once whether one wants news of the community.
        view.add_locator_handler(view.get_by_text("Skip", exact=True), lambda skip: skip.click())
        yield view
        browser.close()


def see(page: Any, *wanted: str) -> None:
    """Wait until each text is visible somewhere on the page."""
    from playwright.sync_api import expect

    for text in wanted:
        expect(page.get_by_text(text, exact=True).filter(visible=True).first).to_be_visible(timeout=60_000)


def test_the_graph_shows_every_stage_and_asset(page: Any, served: Served) -> None:
    page.goto(f"{served.url}/asset-groups")
    see(page, *GROUPS)
    page.keyboard.press("Alt+KeyE")  # expand all groups
    see(page, *ASSETS)


def test_a_trained_classifier_shows_its_metrics_and_pictures(page: Any, served: Served) -> None:
    page.goto(f"{served.url}/assets/classifier?view=partitions&partition={LENS}")
    see(page, "Materialized", "verdict", "metrics", "mae_gain_over_mean", "confusion matrix", "calibration")
    row = page.locator("tr").filter(has=page.get_by_text("confusion matrix", exact=True)).last
    row.get_by_text("[Show Markdown]", exact=True).first.click()
    picture = page.get_by_role("img", name="confusion matrix")
    picture.wait_for()
    assert picture.evaluate("image => image.naturalWidth") > 100  # drawn, not only linked


def test_the_partitions_of_documents_are_the_shards(page: Any, served: Served) -> None:
    page.goto(f"{served.url}/assets/documents?view=partitions")
    see(page, f"{DATASET}-00000", f"{DATASET}-00001")
