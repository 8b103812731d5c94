"""The plan for people: by the asset and by the command line, on a small lake; nothing is launched."""

import json
from pathlib import Path

import dagster as dg
import pytest

from datashop_assets.automation.estimates import JobEstimate
from datashop_assets.automation.measured import measured_runs
from datashop_assets.automation.pauses import Paused
from datashop_assets.automation.plan_command import main
from datashop_assets.automation.rollout import Rollout, look_ahead
from datashop_assets.automation.status_map import StatusMap
from datashop_assets.automation.work import Outlook
from datashop_assets_tests.worlds import World, metadata_of, write_project
from resources.lake_history import DeltaHistory


@pytest.fixture
def served(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Two shards that nothing was made of, on a stored instance that the environment names."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("DATASHOP_PROJECT", str(world.profile.project_file))
    world.instance = dg.DagsterInstance.get()
    world.land_shards(2, documents=3)
    return world


def test_the_command_prints_runs_cells_and_what_is_not_known(served: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert "1 runs over 2 stale cells; nothing is paused. Nothing was launched." in printed
    assert "crawl-00000  crawl-00001" in printed.replace("   ", "  ")
    assert "not known" in printed
    assert "what they are made of is not there yet" in printed
    assert served.instance.get_runs() == []


def test_the_same_for_programs_and_from_the_tables_alone(served: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--tables-alone"]) == 0
    found = json.loads(capsys.readouterr().out)
    (job,) = found["jobs"]
    assert (job["job"], job["cells"], job["documents"], job["hours"]) == ("parse_and_embed_shards", 2, None, None)
    assert found["waiting"][0]["reason"] == "upstream"


def test_a_project_file_that_cannot_be_used_is_said_and_not_thrown(
    served: World, capsys: pytest.CaptureFixture[str]
) -> None:
    file = served.profile.project_file
    file.write_text(file.read_text() + "\nnonsense: 1\n")
    assert main([]) == 1
    assert "nonsense" in capsys.readouterr().err


def test_a_fresh_project_has_an_empty_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATASHOP_PROJECT", str(write_project(tmp_path)))
    (tmp_path / "dagster_home").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster_home"))
    assert main([]) == 0
    assert "0 runs over 0 stale cells" in capsys.readouterr().out


def test_a_lake_that_is_no_place_is_one_sentence(
    served: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATASHOP_LAKE", "gopher://lake")
    assert main([]) == 1
    assert "DATASHOP_LAKE is 'gopher://lake'" in capsys.readouterr().err


def test_earlier_runs_give_the_next_ones_their_hours_and_skipped_cells_none(served: World) -> None:
    served.run("parse_and_embed_shards")
    served.run("parse_and_embed_shards")  # everything is up to date
    assert sorted(run.documents for run in measured_runs(served.instance, "parse_and_embed_shards")) == [0, 6]
    served.land_shards(1, documents=3, start=2)
    history, raters = DeltaHistory(served.lake), served.raters.__getitem__
    args = (served.lake, history, served.graph, served.encoder.id, served.shards, raters, served.instance)
    (made,) = look_ahead(*args).estimates
    assert made.documents in (2, 3, 4), "as many as others have for their bytes"
    assert made.measured_runs == 1
    assert None not in (made.hours, made.disk_bytes)


def test_after_a_promotion_the_filtering_that_follows_is_in_the_estimate_too(served: World) -> None:
    served.land_shards(2, start=2)
    served.run("parse_and_embed_shards")
    served.run("rate_documents", "teaching")
    served.run("train_and_promote_classifier", "teaching")
    history, raters = DeltaHistory(served.lake), served.raters.__getitem__
    args = (served.lake, history, served.graph, served.encoder.id, served.shards, raters, served.instance)
    found = look_ahead(*args)
    assert [(e.job, e.lens, e.follows, e.documents) for e in found.estimates] == [
        ("score_documents", "teaching", False, 86),
        ("set_cutoff", "teaching", True, 86),
        ("filter_documents", "teaching", True, 86),
    ]
    assert found.jobs()["when"].to_list() == ["now", "follows", "follows", "-"]
    assert found.jobs()["runs"].to_list() == ["1", "not planned yet", "not planned yet", "at least 1"]
    assert {each.hours for each in found.estimates} == {None}, "none of these ran before"
    for job in ("score_documents", "set_cutoff", "filter_documents"):
        served.run(job, "teaching")
    served.land_shards(1, start=4)
    made = {each.job: each for each in look_ahead(*args[:4], served.shards, *args[5:]).estimates}
    assert [(job, each.cells, each.measured_runs) for job, each in made.items()] == [
        ("parse_and_embed_shards", 1, 1),
        ("score_documents", 1, 1),
        ("filter_documents", 1, 1),
    ]
    assert [run.documents for run in measured_runs(served.instance, "set_cutoff")] == [86]


NONE = Paused(frozenset(), everything=False)


def test_the_sum_is_of_what_is_known_and_says_that_it_is_not_all() -> None:
    known = JobEstimate("score_documents", "edu", 1, 2, 0, 10, (1.0, 2.0, 3.0), 3, 500, None)
    unknown = JobEstimate("filter_documents", "edu", None, 2, None)
    rows = Rollout(Outlook([], []), [known, unknown], NONE, StatusMap((), ())).jobs()
    every = rows.row(-1, named=True)
    assert (every["hours"], every["disk"], every["cost"]) == ("at least 2", "at least 500 B", "not known")


def test_the_asset_shows_the_plan_as_tables(served: World) -> None:
    result = served.run("plan_rollout")
    shown = metadata_of(result, "rollout_plan")[None]
    assert (shown["runs"], shown["stale cells"]) == (1, 2)
    assert "parse\\_and\\_embed\\_shards" in shown["by job"]
    assert "data:image/png;base64," in shown["how far each lens is"]
