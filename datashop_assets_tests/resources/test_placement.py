"""Where assets, jobs and steps run on a cluster, by the definitions of a real project; on a laptop nothing changes."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster_k8s.job import get_user_defined_k8s_config

from datashop_assets.asset_metadata import COST_TAG
from datashop_assets.definitions import build_defs
from datashop_assets_tests.worlds import write_project
from resources.pod_launcher import PodLauncher
from resources.pod_settings import PodsError, PodSettings
from resources.pods import CLASS_LABEL, CONFIG_TAG
from resources.profiles import Profile, build_resources, laptop, profile_from_environment, project_of

LENSES = {"teaching": {"rater": "scripted", "anneal": True}, "clarity": {"rater": "scripted"}}
STEP_PODS = "step_pods"


def cluster(folder: Path, **settings: Any) -> Profile:
    pods = PodSettings.model_validate({"images": {"worker": "w:1"}, "retries": 3} | settings)
    return replace(laptop(write_project(folder, lenses=LENSES)), pods=pods)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> dg.RepositoryDefinition:
    return build_defs(cluster(tmp_path_factory.mktemp("project"))).get_repository_def()


def pod(config: Mapping[str, Any]) -> tuple[str, str | None, bool]:
    """Class, GPUs and whether it may launch others."""
    limits = config["container_config"]["resources"]["limits"]
    labels = config["pod_template_spec_metadata"]["labels"]
    return (
        labels[CLASS_LABEL],
        limits.get("nvidia.com/gpu"),
        config["pod_spec_config"]["automount_service_account_token"],
    )


def run_pod(job: dg.JobDefinition) -> tuple[str, str | None, bool]:
    return pod(json.loads(job.run_tags[CONFIG_TAG]))


# What the run's pod is, and where the steps run.
JOBS = {
    "parse_and_embed_shards": (("encoder", "1", False), "in_process"),  # one step makes both
    "rate_documents": (("rater", None, False), "in_process"),
    "score_documents": (("cpu", None, False), "in_process"),
    "filter_documents": (("cpu", None, False), "in_process"),
    "cut_release": (("cpu", None, False), "in_process"),
    "train_and_promote_classifier": (("launcher", None, True), STEP_PODS),
    # the GPU is the worker's: one that its run held would be missing for it
    "anneal_control": (("cpu", None, True), "in_process"),
    "anneal_and_evaluate_candidate": (("launcher", None, True), STEP_PODS),
}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_of_one_step_runs_in_a_pod_of_its_class_and_others_start_pods(
    repository: dg.RepositoryDefinition, name: str
) -> None:
    job = repository.get_job(name)
    assert (run_pod(job), job.executor_def.name) == JOBS[name]


def test_a_lost_pod_is_tried_again_and_a_failed_step_is_not(repository: dg.RepositoryDefinition) -> None:
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            assert job.run_tags["dagster/max_retries"] == "3", job.name
            assert job.run_tags["dagster/retry_on_asset_or_op_failure"] == "false", job.name


def test_dagster_reads_every_jobs_tag_and_backfills_of_jobs_carry_it(repository: dg.RepositoryDefinition) -> None:
    """A sensor's run takes a job's run tags, a job's backfill its tags."""
    for job in repository.get_all_jobs():
        if not job.name.startswith("__"):
            assert get_user_defined_k8s_config(job.run_tags).container_config["resources"], job.name
            assert job.tags[CONFIG_TAG] == job.run_tags[CONFIG_TAG], job.name


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The pod of each op, as the executor is given them; one asset is of another class than its tag says."""
    given: dict[str, Any] = {}

    def executor(_: PodSettings, steps: Mapping[str, Any]) -> dg.ExecutorDefinition:
        given.update(steps)
        return dg.in_process_executor

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("resources.step_pods.step_pods_executor", executor)
        profile = cluster(tmp_path_factory.mktemp("steps"), assets={"scores": "encoder"})
        build_defs(profile).get_repository_def()
    return given


def test_what_people_launch_from_assets_pages_has_a_pod_for_each_step(
    repository: dg.RepositoryDefinition, steps: dict[str, Any]
) -> None:
    """Runs of `__ASSET_JOB` have no tags of a job. Every op of it has its pod, checks too."""
    jobs = [job for job in repository.get_all_jobs() if job.name.startswith("__ASSET_JOB")]
    assert jobs
    for job in jobs:
        assert CONFIG_TAG not in job.run_tags
        assert job.executor_def.name == STEP_PODS
        assert {node.name for node in job.graph.nodes} <= steps.keys()


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        pytest.param("embeddings", ("encoder", "1", False), id="with the documents, in one step"),
        pytest.param("annotations", ("rater", None, False), id="rater"),
        pytest.param("classifier", ("cpu", None, True), id="may fine-tune, in a worker"),
        pytest.param("candidate_model", ("cpu", None, True), id="trains in a worker"),
        pytest.param("eval_report", ("cpu", None, True), id="evaluates in a worker"),
        pytest.param("filtered_documents", ("cpu", None, False), id="cpu"),
        pytest.param("scores", ("encoder", "1", False), id="the pods file says otherwise"),
    ],
)
def test_each_step_has_the_pod_of_its_dearest_asset(
    repository: dg.RepositoryDefinition, steps: dict[str, Any], asset: str, expected: tuple[str, str | None, bool]
) -> None:
    made_by = repository.asset_graph.assets_def_for_key(dg.AssetKey(asset)).node_def.name
    assert pod(steps[made_by]) == expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        pytest.param(
            {"judged": {"kind": "rater", "rater": "scripted", "lens": "teaching"}}, "rater", id="asks a rater"
        ),
        pytest.param({"length": {"kind": "length"}}, "cpu", id="of the text alone"),
    ],
)
def test_attributes_are_measured_where_what_they_ask_can_be_reached(
    tmp_path: Path, attributes: dict[str, Any], expected: str
) -> None:
    """Only pods of class `rater` have raters' keys, and may speak with them."""
    project = laptop(write_project(tmp_path, lenses=LENSES, attributes=attributes))
    profile = replace(project, pods=PodSettings.model_validate({"images": {"worker": "w:1"}}))
    defs = build_defs(profile).get_repository_def()
    assert run_pod(defs.get_job("measure_attributes")) == (expected, None, False)


def test_every_asset_says_what_it_costs(repository: dg.RepositoryDefinition) -> None:
    for key in repository.asset_graph.materializable_asset_keys:
        assert repository.asset_graph.get(key).tags[COST_TAG] in {"cpu", "encoder", "rater", "training"}, key


def test_an_asset_that_the_project_has_not_is_named(tmp_path: Path) -> None:
    with pytest.raises(PodsError, match=r"names \['scored'\].*it has .*'scores'"):
        build_defs(cluster(tmp_path, assets={"scored": "encoder"}))


def test_the_environment_names_the_pods_file_and_workers_are_pods_then(tmp_path: Path) -> None:
    file = tmp_path / "pods.yaml"
    file.write_text("images: {worker: w:1}")
    environment = {"DATASHOP_PROJECT": str(write_project(tmp_path, lenses=LENSES))}
    profile = profile_from_environment(environment | {"DATASHOP_PODS": str(file)})
    assert profile.pods == PodSettings.model_validate({"images": {"worker": "w:1"}})
    workshop = build_resources(profile, project_of(profile))["workshop"].resource_fn(dg.build_init_resource_context())
    assert isinstance(workshop.launcher, PodLauncher)
    with pytest.raises(PodsError, match="no pods file /nowhere; set DATASHOP_PODS to yours, or unset it on a laptop"):
        profile_from_environment(environment | {"DATASHOP_PODS": "/nowhere"})


def test_on_a_laptop_nothing_is_placed(tmp_path: Path) -> None:
    repository = build_defs(laptop(write_project(tmp_path, lenses=LENSES))).get_repository_def()
    for job in repository.get_all_jobs():
        assert job.executor_def.name == "in_process"
        assert not {CONFIG_TAG, "dagster/max_retries"} & job.run_tags.keys()
    assert not {"lost_pods", "unbegun_runs"} & {sensor.name for sensor in repository.sensor_defs}


def test_on_a_cluster_lost_pods_are_looked_for(repository: dg.RepositoryDefinition) -> None:
    assert {"lost_pods", "unbegun_runs"} <= {sensor.name for sensor in repository.sensor_defs}
