"""What a project file may ask of filters, and what is refused when it is read."""

from pathlib import Path
from typing import Any

import pytest

from datashop_assets.filter_settings import Draw, KeepFraction, Quota, Quotas, Threshold
from datashop_assets.project import ProjectError, load_project
from datashop_assets_tests.worlds import write_project

LENS = {"rater": "scripted"}
RATED = {"kind": "rater", "rater": "scripted", "lens": "clarity", "survivors_of": "teaching"}


def project_with(
    tmp_path: Path, teaching: dict[str, Any], clarity: dict[str, Any] | None = None, **changes: Any
) -> Any:
    lenses = {"teaching": LENS | teaching, "clarity": LENS | (clarity or {})}
    return load_project(write_project(tmp_path, lenses=lenses, **changes))


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        pytest.param(
            {"condition": "teaching >= 3 and clarity < 2"},
            Threshold(condition="teaching >= 3 and clarity < 2"),
            id="a condition alone",
        ),
        pytest.param(
            {"keep_fraction": 0.3, "condition": "clarity > 1", "draw": {"temperature": 2}},
            KeepFraction(keep_fraction=0.3, condition="clarity > 1", draw=Draw(temperature=2)),
            id="a share, drawn, of what meets a condition",
        ),
        pytest.param(
            {"quotas": {"web": {"keep_fraction": 0.1}, "*": {"documents": 0}}},
            Quotas(quotas={"web": Quota(keep_fraction=0.1), "*": Quota(documents=0)}),
            id="quotas",
        ),
    ],
)
def test_a_policy_is_known_by_its_keys(tmp_path: Path, asked: dict[str, Any], meant: object) -> None:
    assert project_with(tmp_path, {"cutoff": asked}).lenses["teaching"].cutoff == meant


@pytest.mark.parametrize(
    ("teaching", "clarity", "said"),
    [
        pytest.param({"cutoff": {"condition": "teaching >= 3 andd x"}}, {}, r"at character 15", id="an unreadable one"),
        pytest.param(
            {"cutoff": {"condition": "teaching > 1 and nosuch < 2"}},
            {},
            r"'teaching' speaks of \['nosuch'\]; known lenses and attributes: \['clarity', 'rated', 'teaching'\]",
            id="an unknown name",
        ),
        pytest.param({"cutoff": {"reverse": True, "condition": "teaching > 1"}}, {}, "reverse is of", id="reverse"),
        pytest.param({"cutoff": {"quotas": {"web": {"documents": 3}}}}, {}, "not named", id="silent on the others"),
        pytest.param({"cutoff": {"quotas": {"*": {}}}}, {}, "either keep_fraction or documents", id="an empty quota"),
        pytest.param({"population": "nosuch"}, {}, r"population from 'nosuch'", id="an unknown population"),
        pytest.param({"population": "teaching"}, {}, "need each other: teaching <- teaching", id="its own population"),
        pytest.param({"population": "clarity"}, {"population": "teaching"}, "need each other", id="each other's"),
        pytest.param(
            {"cutoff": {"condition": "rated > 1"}}, {}, "need each other", id="a score that needs the filter's result"
        ),
    ],
)
def test_a_bad_filter_is_refused_when_the_project_file_is_read(
    tmp_path: Path, teaching: dict[str, Any], clarity: dict[str, Any], said: str
) -> None:
    with pytest.raises(ProjectError, match=said):
        project_with(tmp_path, teaching, clarity, attributes={"rated": RATED})


def test_a_population_and_a_condition_on_what_it_rated_are_in_order(tmp_path: Path) -> None:
    asked = {"population": "teaching", "cutoff": {"condition": "rated > 1 and teaching > 2"}}
    project = project_with(tmp_path, {}, asked, attributes={"rated": RATED})
    assert project.lenses["clarity"].population == "teaching"
