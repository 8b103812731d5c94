"""The pause switch: what is paused is not asked for, the rest is, and a look says so."""

from pathlib import Path

import pytest

from datashop_assets.automation.pauses import Paused, record_pauses
from datashop_assets.automation.reconcile import outlook
from datashop_assets.automation_settings import AutomationSettings
from datashop_assets_tests.worlds import World
from resources.lake import DeltaLake

NAMES = ["clarity", "teaching"]


def record(lake: DeltaLake, pause: list[str], resume: list[str]) -> None:
    record_pauses(lake, NAMES, pause, resume, "ann", "the endpoint is down", {})


def test_the_newest_record_counts_and_the_project_file_beside_it(tmp_path: Path) -> None:
    lake = DeltaLake(str(tmp_path))
    record(lake, ["clarity", "teaching"], [])
    record(lake, [], ["teaching"])
    assert Paused.now(lake, AutomationSettings()).names == {"clarity"}
    paused = Paused.now(lake, AutomationSettings(paused_lenses=("teaching",)))
    assert [name in paused for name in ("clarity", "teaching", None)] == [True, True, False]


def test_everything_is_paused_and_resumed_by_a_star(tmp_path: Path) -> None:
    lake = DeltaLake(str(tmp_path))
    record(lake, ["*"], [])
    assert None in Paused.now(lake, AutomationSettings())
    record(lake, [], ["*"])
    assert "teaching" not in Paused.now(lake, AutomationSettings())


@pytest.mark.parametrize(
    ("pause", "resume", "by", "fault"),
    [
        pytest.param(["nobody"], [], "ann", "known: .*teaching", id="a lens that is not enabled"),
        pytest.param(["clarity"], ["clarity"], "ann", "at once", id="both ways"),
        pytest.param(["clarity"], [], " ", "name of who", id="by nobody"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_recorded(
    tmp_path: Path, pause: list[str], resume: list[str], by: str, fault: str
) -> None:
    lake = DeltaLake(str(tmp_path))
    with pytest.raises(ValueError, match=fault):
        record_pauses(lake, NAMES, pause, resume, by, None, {})
    assert Paused.now(lake, AutomationSettings()) == Paused(frozenset(), everything=False)


def test_a_paused_lens_waits_while_the_others_go_on_and_goes_on_when_resumed(world: World) -> None:
    world.land_shards(2)
    world.run("parse_and_embed_shards")
    for lens in NAMES:
        world.run("rate_documents", lens)
        world.run("train_and_promote_classifier", lens)
    world.run("plan_rollout", config={"pauses": {"pause": ["clarity"], "by": "ann", "note": "a look at its prompt"}})
    assert [(work.job, work.stretch.lens) for work in world.stale()] == [("score_documents", "teaching")]
    (waiting,) = [
        each
        for each in outlook(world.lake, world.graph, world.encoder.id, world.shards).waiting
        if each.reason == "paused"
    ]
    assert (waiting.job, waiting.lens, waiting.cells) == ("score_documents", "clarity", 2)
    world.run("plan_rollout", config={"pauses": {"resume": ["clarity"], "by": "ann"}})
    assert {work.stretch.lens for work in world.stale()} == set(NAMES)
