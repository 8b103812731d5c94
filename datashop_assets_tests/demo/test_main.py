"""The demo's driver: whose corpus it may write to."""

import pytest

from datashop_assets.automation.jobs import assets_of, build_jobs
from datashop_assets.demo.__main__ import demo_folder, steps
from datashop_assets.demo.harvest import HarvestError
from datashop_assets.graph import load_graph
from datashop_assets.project import Project, load_project
from resources.profiles import REPOSITORY


def project(name: str, url: str) -> Project:
    shipped = load_project(REPOSITORY / "datashop.yaml")
    landing = shipped.landings[0].model_copy(update={"url": url})
    return shipped.model_copy(update={"name": name, "landings": (landing,)})


@pytest.mark.parametrize("file", ["datashop.yaml", ".ci/datashop.yaml"])
def test_the_checkouts_own_projects_are_the_demos(file: str) -> None:
    shipped = load_project(REPOSITORY / file)
    assert REPOSITORY in demo_folder(shipped, shipped.landings[0]).parents


@pytest.mark.parametrize("file", ["datashop.yaml", ".ci/datashop.yaml"])
def test_every_asset_of_the_demos_graph_is_made(file: str) -> None:
    graph = load_graph(load_project(REPOSITORY / file))
    made = {asset for step in steps(graph, ["demo-00000"]) for asset in assets_of(step.job)}
    jobs = {job.name for job in build_jobs(graph)}
    assert made == {asset for job in jobs for asset in assets_of(job)}


@pytest.mark.parametrize(
    ("name", "url", "why"),
    [
        pytest.param("mycrawl", "/data/crawl", "is not the demo's", id="a project of the user's"),
        pytest.param("demo", "s3://bucket/crawl", "a local folder only", id="an object store"),
    ],
)
def test_no_other_corpus_is_written_to(name: str, url: str, why: str) -> None:
    theirs = project(name, url)
    with pytest.raises(HarvestError, match=why):
        demo_folder(theirs, theirs.landings[0])
