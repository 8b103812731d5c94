"""Runs of `control_model` and `candidate_model`, with a scripted worker: what is recorded, and when nothing is."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from datashop_assets.records import ANNEALED_MODELS
from datashop_assets_tests.workshops import LENS, LOSSES, TOKENS, AnnealingWorld, train
from datashop_assets_tests.worlds import failure_of, metadata_of, worth
from resources.launchers import SubprocessLauncher

CANDIDATE = "anneal_and_evaluate_candidate"


def log_of(world: AnnealingWorld, result: dg.ExecuteInProcessResult) -> str:
    return "\n".join(entry.user_message for entry in world.instance.all_logs(result.run_id))


def left_in_the_workshop(world: AnnealingWorld) -> list[str]:
    return [file.name for file in world.profile.work.glob("*") if file.name != "evaluation"]


def test_the_control_is_recorded_kept_and_shown_with_its_loss_curve(annealing_world: AnnealingWorld) -> None:
    facts = metadata_of(annealing_world.run("anneal_control"), "control_model")[None]
    (record,) = annealing_world.read(ANNEALED_MODELS).to_dicts()
    assert (record["role"], record["lens"], record["tokens"]) == ("control", None, TOKENS)
    assert json.loads(record["losses"]) == LOSSES
    assert json.loads(record["mixture"])["tokens"] == {"base": TOKENS}
    assert (Path(facts["path"]) / "model.safetensors").is_file()
    assert (facts["model"], facts["tokens"], facts["skipped"]) == (record["model"], TOKENS, False)
    assert (facts["first loss"], facts["last loss"]) == (3.5, 2.75)
    assert "data:image/png;base64" in facts["loss curve"]
    assert left_in_the_workshop(annealing_world) == [], "what the worker needed is cleared away"


def test_materializing_it_again_does_nothing_and_says_so(annealing_world: AnnealingWorld) -> None:
    first = metadata_of(annealing_world.run("anneal_control"), "control_model")[None]
    before = annealing_world.table_versions()
    result = annealing_world.run("anneal_control")
    again = metadata_of(result, "control_model")[None]
    assert len(annealing_world.calls("anneal")) == 1
    assert again == first | {"skipped": True}
    assert "already trained on this mixture: nothing to do" in log_of(annealing_world, result)
    assert annealing_world.table_versions() == before


def test_the_candidate_gets_its_share_from_kept_documents_and_the_rest_as_the_control(
    annealing_world: AnnealingWorld,
) -> None:
    seen = []

    def look(extras: Mapping[str, Any]) -> Mapping[str, Any]:
        seen.append(pl.read_parquet(extras["mixture"]))
        return train(extras)

    annealing_world.scripts["anneal"] = look
    annealing_world.anneal_both()
    control, candidate = seen
    parts = {part: rows for (part,), rows in candidate.group_by("part")}
    assert {part: rows["tokens"].sum() for part, rows in parts.items()} == {"base": 280, "filtered": 120}
    assert min(worth(text) for text in parts["filtered"]["text"]) == 4
    assert min(worth(text) for text in control["text"]) == 0, "the control has the corpus as it comes"
    assert set(parts["base"]["text_sha"]) <= set(control["text_sha"])
    records = annealing_world.read(ANNEALED_MODELS).sort("trained_at")
    assert records.select("role", "lens").rows() == [("control", None), ("candidate", LENS)]


@pytest.mark.parametrize(
    ("script", "says"),
    [
        pytest.param(
            "echo no such file x.parquet >&2; exit 3",
            ["worker anneal failed with exit code 3", "Mend what its last lines say", "no such file x.parquet"],
            id="an error",
        ),
        pytest.param(
            "kill -9 $$",
            ["killed by signal 9", "out of memory", "smaller batch_size", "goes on from its last checkpoint"],
            id="out of memory",
        ),
    ],
)
def test_a_candidate_whose_worker_fails_leaves_no_record_and_says_what_to_do(
    annealing_world: AnnealingWorld, tmp_path: Path, script: str, says: list[str]
) -> None:
    annealing_world.run("anneal_control")
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    annealing_world.employ(SubprocessLauncher(python=str(python)))
    before = annealing_world.table_versions()
    result = annealing_world.run(CANDIDATE, LENS, fails=True)
    message = failure_of(result)
    assert [words for words in says if words not in message] == []
    assert annealing_world.table_versions() == before
    assert metadata_of(result, "candidate_model") == metadata_of(result, "eval_report") == {}


def test_the_next_run_finds_the_checkpoint_of_the_one_that_broke_off(annealing_world: AnnealingWorld) -> None:
    def dies(extras: Mapping[str, Any]) -> Mapping[str, Any]:
        checkpoints = Path(extras["output"] + ".checkpoints")
        checkpoints.mkdir()
        (checkpoints / "checkpoint-4").touch()
        raise dg.Failure("killed")

    found = []

    def goes_on(extras: Mapping[str, Any]) -> Mapping[str, Any]:
        found.extend(file.name for file in Path(extras["output"] + ".checkpoints").iterdir())
        return train(extras)

    annealing_world.scripts["anneal"] = dies
    annealing_world.run("anneal_control", fails=True)
    annealing_world.scripts["anneal"] = goes_on
    annealing_world.run("anneal_control")
    first, second = annealing_world.calls("anneal")
    assert first == second, "the same mixture, settings and place"
    assert found == ["checkpoint-4"]
    assert annealing_world.read(ANNEALED_MODELS).height == 1
    assert left_in_the_workshop(annealing_world) == []


def test_what_was_kept_once_and_is_kept_again_gives_its_model_back_without_training(
    annealing_world: AnnealingWorld,
) -> None:
    annealing_world.anneal_both()
    first = annealing_world.read(ANNEALED_MODELS).filter(role="candidate")["model"].item()
    annealing_world.keep(worth_at_least=3)
    annealing_world.run(CANDIDATE, LENS)
    trained = len(annealing_world.calls("anneal"))
    annealing_world.keep(worth_at_least=4)
    facts = metadata_of(annealing_world.run(CANDIDATE, LENS), "candidate_model")[LENS]
    assert (facts["model"], facts["skipped"]) == (first, True)
    assert len(annealing_world.calls("anneal")) == trained == 3
    newest = annealing_world.read(ANNEALED_MODELS).filter(role="candidate").sort("trained_at").row(-1, named=True)
    assert newest["model"] == first, "the comparison is made with the model that belongs to what is kept now"


def test_a_lens_that_keeps_nothing_has_no_candidate_and_the_mend_is_named(annealing_world: AnnealingWorld) -> None:
    annealing_world.run("anneal_control")
    annealing_world.keep(worth_at_least=6)
    message = failure_of(annealing_world.run(CANDIDATE, LENS, fails=True))
    assert "no filtered text to anneal on" in message
    assert "keep more (the lens's cutoff)" in message
    assert annealing_world.read(ANNEALED_MODELS).height == 1


def test_other_settings_are_another_control_and_the_first_one_stays(annealing_world: AnnealingWorld) -> None:
    annealing_world.run("anneal_control")
    annealing_world.change_project(anneal={"tokens": TOKENS, "sequence_length": 16, "seed": 1})
    annealing_world.run("anneal_control")
    records = annealing_world.read(ANNEALED_MODELS)
    assert records["model"].n_unique() == 2
    assert all((Path(annealing_world.profile.models) / uri).is_dir() for uri in records["uri"])


def test_a_model_whose_files_are_lost_is_made_again(annealing_world: AnnealingWorld) -> None:
    first = metadata_of(annealing_world.run("anneal_control"), "control_model")[None]
    shutil.rmtree(first["path"])
    again = metadata_of(annealing_world.run("anneal_control"), "control_model")[None]
    assert (again["path"], again["skipped"]) == (first["path"], False)
    assert (Path(again["path"]) / "model.safetensors").is_file()
