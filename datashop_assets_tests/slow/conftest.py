"""One server and one small project for all tests in a browser."""

import shutil
from collections.abc import Iterator

import pytest

from datashop_assets_tests.slow.browsing import CHROMIUM_FLAGS, Person
from datashop_assets_tests.slow.dagster_dev import Served, dagster_dev
from datashop_assets_tests.slow.small_project import SmallProject, drop_crawl, open_project, walk, write_project


@pytest.fixture(scope="session")
def browser_path() -> str:
    """A Chromium of the machine; without one there is nothing to look with."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine; install the package `chromium` to run the tests of the UI")
    return found


@pytest.fixture(scope="session")
def walked(browser_path: str, tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    """Two shards of 40 documents on which the main path was walked."""
    folder = tmp_path_factory.mktemp("browser")
    project = open_project(write_project(folder, sample_per_shard=36), folder / "home")
    drop_crawl(project.landing, shards=2, documents=40)
    walk(project)
    return project


@pytest.fixture(scope="session")
def served(walked: SmallProject) -> Iterator[Served]:
    """`dagster dev` on it."""
    with dagster_dev(walked.environment, walked.file.parent / "dagster-dev.log") as running:
        yield running


@pytest.fixture(scope="session")
def person(browser_path: str, served: Served) -> Iterator[Person]:
    """Somebody with the UI open."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=CHROMIUM_FLAGS)
        yield Person(browser.new_page(viewport={"width": 1600, "height": 1000}), served)
        browser.close()
