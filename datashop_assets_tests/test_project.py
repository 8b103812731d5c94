"""The project file: what it means where it is silent, and what is said of one that cannot be used."""

from pathlib import Path

import pytest

from datashop_assets.filter_settings import KeepFraction, Threshold
from datashop_assets.project import ProjectError, load_project
from datashop_assets_tests.worlds import write_project

LENS = {"rater": "scripted"}
LANDING = {"dataset": "crawl", "url": "landing"}


def test_paths_are_relative_to_the_file_and_urls_stay(tmp_path: Path) -> None:
    other = {"dataset": "hub", "url": "hf://datasets/a/b"}
    project = load_project(write_project(tmp_path, landings=[LANDING, other]))
    assert [landing.url for landing in project.landings] == [str(tmp_path / "landing"), "hf://datasets/a/b"]
    assert project.lens_folders == (str(tmp_path / "lenses"),)


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ({"keep_fraction": 0.3}, KeepFraction(keep_fraction=0.3)),
        ({"lower": 2.5}, Threshold(lower=2.5)),
        ({"lower": 1, "upper": 2, "reverse": True}, Threshold(lower=1, upper=2, reverse=True)),
    ],
)
def test_a_cutoff_policy_is_known_by_its_keys(tmp_path: Path, asked: dict, meant: object) -> None:
    project = load_project(write_project(tmp_path, lenses={"teaching": LENS | {"cutoff": asked}}))
    assert project.lenses["teaching"].cutoff == meant


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        pytest.param({"lens": {}}, r"lens: Extra inputs", id="an unknown key"),
        pytest.param({"landings": []}, r"landings: .*at least 1", id="no landing"),
        pytest.param({"landings": [LANDING, LANDING]}, r"each landing needs a dataset name of its own", id="twice"),
        pytest.param({"landings": [LANDING | {"dataset": "A-b"}]}, r"landings\.0\.dataset", id="a bad dataset name"),
        pytest.param({"lenses": {"teaching": {"rater": "nobody"}}}, r"'nobody'; known raters", id="unknown rater"),
        pytest.param({"lenses": {"teaching": LENS | {"cutoff": {"lower": 3, "upper": 1}}}}, r"above", id="bounds"),
        pytest.param({"lenses": {"teaching": LENS | {"cutoff": {}}}}, r"lenses\.teaching\.cutoff", id="no bounds"),
        pytest.param(
            {"raters": {"scripted": {"backend": "openai", "model": "m"}}}, r"needs base_url", id="no endpoint"
        ),
    ],
)
def test_a_fault_is_named_by_file_and_field(tmp_path: Path, changes: dict, said: str) -> None:
    file = write_project(tmp_path, **changes)
    with pytest.raises(ProjectError, match=said) as caught:
        load_project(file)
    assert str(file) in str(caught.value)


def test_each_fault_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "datashop.yaml"
    file.write_text("name: Books\nlandings:\n  - dataset: crawl\n    uri: landing\nraters: {}\nlenses: {}\n")
    with pytest.raises(ProjectError) as caught:
        load_project(file)
    said = str(caught.value)
    for line in (
        "line 1: name: ",
        "line 3: landings.0.url: Field required",
        "line 4: landings.0.uri: Extra",
        "line 6: lenses: ",
    ):
        assert f"\n  {line}" in said


@pytest.mark.parametrize(("content", "said"), [("a: [", "not readable as YAML"), ("- a", "must hold a mapping")])
def test_a_file_that_is_no_project_is_named(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(content)
    with pytest.raises(ProjectError, match=said):
        load_project(file)


def test_equal_settings_have_equal_versions_and_other_ones_others(tmp_path: Path) -> None:
    one = load_project(write_project(tmp_path))
    assert one.version == load_project(write_project(tmp_path)).version
    assert one.encoder.version != one.encoder.model_copy(update={"max_tokens": 64}).version
