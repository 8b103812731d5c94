"""Profiles: what the environment decides, what stands without it, and what never shows."""

from pathlib import Path

import dagster as dg
import pytest

from datashop_assets.project import ProjectError
from datashop_assets_tests.worlds import write_project
from resources.lake import DeltaLake
from resources.model_store import S3ModelStore
from resources.object_store import ObjectStoreError, UnsafeObjectStoreError
from resources.profiles import REPOSITORY, build_resources, dagster_home, laptop, profile_from_environment, project_of

SECRET = "s3cr3t-value"
KEYS = {"AWS_ACCESS_KEY_ID": "key-id-value", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": "token-value"}


def resource(resources: dict[str, dg.ResourceDefinition], name: str) -> object:
    return resources[name].resource_fn(dg.build_init_resource_context())


def test_without_any_variable_everything_lies_beside_the_demo_project() -> None:
    profile = profile_from_environment({})
    assert profile.project_file == REPOSITORY / "datashop.yaml"
    assert profile.home == REPOSITORY / ".datashop"
    assert (profile.lake, profile.models) == (f"{profile.home}/lake", f"{profile.home}/models")
    assert not profile.storage_options


def test_each_variable_moves_what_it_names(tmp_path: Path) -> None:
    file = write_project(tmp_path)
    home = tmp_path / "elsewhere"
    profile = profile_from_environment({"DATASHOP_PROJECT": str(file), "DATASHOP_HOME": str(home)})
    assert (profile.project_file, profile.home, profile.lake) == (file, home, f"{home}/lake")
    for place in (profile.releases, profile.cache, profile.staging, profile.work):
        assert place.parent == home
    moved = profile_from_environment(
        {"DATASHOP_PROJECT": str(file), "DATASHOP_LAKE": "s3://b/lake", "DATASHOP_MODELS": str(tmp_path / "models")}
    )
    assert (moved.lake, moved.models) == ("s3://b/lake", str(tmp_path / "models"))
    assert moved.home == tmp_path / ".datashop"


def test_the_answers_of_raters_are_kept_in_the_home_or_elsewhere_or_nowhere(tmp_path: Path) -> None:
    environment = {"DATASHOP_PROJECT": str(write_project(tmp_path)), "DATASHOP_HOME": str(tmp_path / "home")}

    def place(url: str) -> str | None:
        return profile_from_environment(environment | {"DATASHOP_RATING_CACHE": url}).rating_cache

    assert profile_from_environment(environment).rating_cache == f"sqlite:///{tmp_path}/home/rating_cache.db"
    assert place("sqlite:////elsewhere/answers.db") == "sqlite:////elsewhere/answers.db"
    assert place("none") is None
    shared = profile_from_environment(
        environment | {"DATASHOP_RATING_CACHE": f"postgresql+psycopg2://me:{SECRET}@h/db"}
    )
    raters = resource(build_resources(shared, project_of(shared)), "raters")
    assert SECRET not in f"{shared!r} {raters!r} {vars(raters('scripted'))}"


@pytest.mark.parametrize("name", ["DATASHOP_LAKE", "DATASHOP_MODELS"])
@pytest.mark.parametrize("uri", ["gs://bucket/lake", "http://example.org/lake"])
def test_a_store_that_cannot_be_used_is_refused_by_the_variables_name(name: str, uri: str) -> None:
    with pytest.raises(ProjectError, match=f"{name} is '{uri}'; it must be a local path or s3://bucket/prefix"):
        profile_from_environment({name: uri})


def test_a_project_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    profile = profile_from_environment({"DATASHOP_PROJECT": str(tmp_path / "nothing.yaml")})
    with pytest.raises(ProjectError, match=r"no project file .*nothing\.yaml; set DATASHOP_PROJECT"):
        project_of(profile)


def test_credentials_reach_the_lake_and_show_nowhere(tmp_path: Path) -> None:
    file = write_project(tmp_path)
    environment = {"DATASHOP_PROJECT": str(file), "DATASHOP_LAKE": "s3://b/lake", "DATASHOP_MODELS": "s3://b/m"} | KEYS
    profile = profile_from_environment(environment | {"UNRELATED_TOKEN": "x", "AWS_REGION": ""})
    assert dict(profile.storage_options) == KEYS, "only the storage's variables, and no empty ones"
    resources = build_resources(profile, project_of(profile))
    models = resource(resources, "models")
    assert isinstance(models, S3ModelStore)
    assert dict(models.storage_options) == KEYS
    lake = DeltaLake(profile.lake, profile.storage_options)
    shown = repr([profile, lake, models, resources, resource(resources, "workshop")])
    for value in KEYS.values():
        assert value not in shown


def test_an_s3_lake_is_probed_once_by_the_first_who_asks_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed = []
    monkeypatch.setattr("resources.profiles.probe_conditional_put", lambda *args: probed.append(args))
    environment = {"DATASHOP_PROJECT": str(write_project(tmp_path)), "DATASHOP_LAKE": "s3://b/lake"} | KEYS
    profile = profile_from_environment(environment)
    resources = build_resources(profile, project_of(profile))
    assert probed == [], "building the definitions touches no network"
    lakes = [resource(resources, "lake") for _ in range(3)]
    assert probed == [("s3://b/lake", KEYS)]
    assert lakes[0] == DeltaLake("s3://b/lake", KEYS)


def test_an_unsafe_store_is_refused_at_every_asking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(url: str, options: object) -> None:
        raise UnsafeObjectStoreError(f"{url} is unsafe")

    monkeypatch.setattr("resources.profiles.probe_conditional_put", refuse)
    profile = profile_from_environment(
        {"DATASHOP_PROJECT": str(write_project(tmp_path)), "DATASHOP_LAKE": "s3://b/lake"}
    )
    resources = build_resources(profile, project_of(profile))
    for _ in range(2):
        with pytest.raises(ObjectStoreError, match="s3://b/lake is unsafe"):
            resource(resources, "lake")


def test_a_local_lake_is_not_probed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.profiles.probe_conditional_put", lambda *args: pytest.fail("probed"))
    profile = laptop(write_project(tmp_path))
    assert resource(build_resources(profile, project_of(profile)), "lake") == DeltaLake(profile.lake)


def test_an_unknown_rater_names_the_project_file_and_the_known_ones(tmp_path: Path) -> None:
    profile = laptop(write_project(tmp_path))
    raters = resource(build_resources(profile, project_of(profile)), "raters")
    with pytest.raises(ProjectError, match=r"no rater 'nobody' in .*datashop\.yaml; known: \['other', 'scripted'\]"):
        raters("nobody")


def test_two_projects_have_dagster_instances_of_their_own_with_the_shipped_settings(tmp_path: Path) -> None:
    homes = {dagster_home(laptop(tmp_path / name / "datashop.yaml")) for name in "ab"}
    assert len(homes) == 2
    assert all("max_concurrent_runs" in (home / "dagster.yaml").read_text() for home in homes)
