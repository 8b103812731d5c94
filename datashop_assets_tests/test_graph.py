"""What assets are built from: lenses of the project's own libraries, and versions that change when they should."""

from pathlib import Path

import pytest
import yaml

from datashop_assets.graph import Graph, load_graph
from datashop_assets.project import load_project
from datashop_assets.rating.lens_folder import LensFolderError
from datashop_assets_tests.worlds import write_lens, write_project


def graph(folder: Path, **changes: object) -> Graph:
    return load_graph(load_project(write_project(folder, **changes)))


def test_the_projects_own_lens_stands_before_a_shipped_one_of_the_same_name(tmp_path: Path) -> None:
    write_lens(tmp_path / "mine", "educational_value")
    lens = {"educational_value": {"rater": "scripted"}}
    shipped = graph(tmp_path, lenses=lens).lenses["educational_value"]
    mine = graph(tmp_path, lenses=lens, lens_folders=["mine"]).lenses["educational_value"]
    assert mine.description == "How much educational_value."
    assert mine.version != shipped.version


def test_only_the_lenses_that_ask_for_it_are_annealed(tmp_path: Path) -> None:
    lenses = {"teaching": {"rater": "scripted", "anneal": True}, "clarity": {"rater": "scripted"}}
    assert graph(tmp_path, lenses=lenses).annealed == ["teaching"]
    assert graph(tmp_path).annealed == []


@pytest.mark.parametrize(
    ("settings", "moves"),
    [
        pytest.param({"recipe": {"model": {"kind": "linear", "l2": [1.0]}}}, True, id="the recipe"),
        pytest.param({"sample_per_shard": 7}, False, id="the sample"),
        pytest.param({"cutoff": {"lower": 1.0}}, False, id="the cut-off"),
    ],
)
def test_the_classifiers_code_version_follows_the_recipe(tmp_path: Path, settings: dict, moves: bool) -> None:
    plain = graph(tmp_path, lenses={"teaching": {"rater": "scripted"}}).recipe_code_version
    changed = graph(tmp_path, lenses={"teaching": {"rater": "scripted"} | settings}).recipe_code_version
    assert (plain != changed) is moves


def test_the_annotations_code_version_follows_the_lens_text(tmp_path: Path) -> None:
    before = graph(tmp_path)
    again = graph(tmp_path)
    write_project(tmp_path)
    write_lens(tmp_path / "lenses", "teaching", "Something else: {{ document }}")
    after = load_graph(load_project(tmp_path / "datashop.yaml"))
    assert before.lens_code_version == again.lens_code_version != after.lens_code_version


LABELS = {"title": "Topics", "description": "What about.", "label_sets": [{"name": "topics", "labels": ["Law"]}]}


def test_lenses_that_score_and_lenses_that_label_are_told_apart(tmp_path: Path) -> None:
    write_lens(tmp_path / "lenses", "topics")
    (tmp_path / "lenses" / "topics" / "lens.yaml").write_text(yaml.safe_dump(LABELS))
    enabled = {name: {"rater": "scripted"} for name in ("topics", "teaching", "clarity")}
    made = graph(tmp_path, lenses=enabled)
    assert (made.score_lenses, made.label_lenses) == (["clarity", "teaching"], ["topics"])


def test_the_projects_mode_stands_instead_of_the_lenses_own(tmp_path: Path) -> None:
    lens = {"teaching": {"rater": "scripted", "mode": "expected_score"}}
    made = graph(tmp_path, lenses=lens).lenses["teaching"]
    assert (made.mode, made.version != graph(tmp_path).lenses["teaching"].version) == ("expected_score", True)


def test_a_bad_lens_that_is_not_enabled_keeps_nothing_from_loading_and_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken = write_project(tmp_path, lenses={"teaching": {"rater": "scripted"}})
    (tmp_path / "lenses" / "clarity" / "prompt.jinja").write_text("\n{{ documnet }}")
    assert set(load_graph(load_project(broken)).lenses) == {"teaching"}
    assert "clarity/prompt.jinja:2: 'documnet' is no value" in caplog.text


def test_a_bad_lens_that_is_enabled_is_refused_with_its_faults(tmp_path: Path) -> None:
    file = write_project(tmp_path)
    (tmp_path / "lenses" / "clarity" / "prompt.jinja").write_text("\n{{ documnet }}")
    with pytest.raises(LensFolderError, match=r"'clarity' cannot be used:\n.*clarity/prompt\.jinja:2: 'documnet'"):
        load_graph(load_project(file))


def test_raters_whose_ratings_are_imported_are_not_asked(tmp_path: Path) -> None:
    served = {"backend": "openai", "model": "m", "base_url": "http://127.0.0.1:9/v1"}
    raters = {"scripted": served, "elsewhere": {"backend": "imported", "model": "gpt4"}}
    both = {"rater": "elsewhere", "also_rated_by": ["scripted"]}
    made = graph(tmp_path, raters=raters, lenses={"teaching": both, "clarity": {"rater": "elsewhere"}})
    assert made.asked_raters("teaching") == ["scripted"]
    assert made.asked_raters("clarity") == []
