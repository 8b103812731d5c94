"""Runs of `eval_report`, with a scripted worker: paired differences, the verdict, and what is no report."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from datashop_assets.annealing.mixture import held_out
from datashop_assets.records import ANNEALED_MODELS, DOCUMENTS, EVAL_REPORTS
from datashop_assets_tests.workshops import LENS, AnnealingWorld, evaluation, samples
from datashop_assets_tests.worlds import failure_of, metadata_of

JOB = "anneal_and_evaluate_candidate"
SLICE = "slice_pages"


@pytest.fixture
def controlled(annealing_world: AnnealingWorld) -> AnnealingWorld:
    annealing_world.run("anneal_control")
    return annealing_world


@pytest.mark.parametrize(
    ("saved", "verdict"),
    [
        pytest.param(0.2, f"candidate better on {SLICE}", id="fewer bits a byte"),
        pytest.param(-0.2, f"candidate worse on {SLICE}", id="more bits a byte"),
        pytest.param(1e-4, "no difference shown", id="a difference within the noise"),
    ],
)
def test_the_report_records_the_paired_differences_and_a_verdict_that_keeps_to_them(
    controlled: AnnealingWorld, saved: float, verdict: str
) -> None:
    controlled.scripts["evaluate"] = evaluation(saved)
    facts = metadata_of(controlled.run(JOB, LENS), "eval_report")[LENS]
    (record,) = controlled.read(EVAL_REPORTS).to_dicts()
    models = dict(controlled.read(ANNEALED_MODELS).select("role", "model").iter_rows())
    assert (record["lens"], record["control"], record["candidate"]) == (LENS, models["control"], models["candidate"])
    assert record["verdict"] == facts["verdict"] == verdict
    tasks = {task["task"]: task for task in json.loads(record["results"])["tasks"]}
    assert tasks.keys() == {"mmlu_dev", SLICE}
    # The documents themselves differ by up to 2 bits a byte; paired, only the noise of 0.01 is left.
    assert tasks[SLICE]["difference"] == pytest.approx(-saved, abs=0.01)
    assert tasks[SLICE]["low"] < tasks[SLICE]["difference"] < tasks[SLICE]["high"]
    assert (tasks[SLICE]["n"], tasks["mmlu_dev"]["n"]) == (10, 4)
    assert (tasks[SLICE]["low"] <= 0 <= tasks[SLICE]["high"]) == (verdict == "no difference shown")
    assert tasks["mmlu_dev"]["difference"] == 0
    assert facts[f"difference: {SLICE}"] == tasks[SLICE]["difference"]
    assert verdict in facts["comparison"]
    for chart in ("differences", "training loss"):
        assert "data:image/png;base64" in facts[chart]


def test_materializing_it_again_evaluates_nothing_and_says_so(controlled: AnnealingWorld) -> None:
    first = metadata_of(controlled.run(JOB, LENS), "eval_report")[LENS]
    before = controlled.table_versions()
    again = metadata_of(controlled.run(JOB, LENS), "eval_report")[LENS]
    assert len(controlled.calls("evaluate")) == 1
    assert (first["skipped"], again["skipped"]) == (False, True)
    assert again["comparison"] == first["comparison"]
    assert controlled.table_versions() == before


def test_the_slice_is_of_texts_that_neither_model_was_trained_on(controlled: AnnealingWorld) -> None:
    controlled.run(JOB, LENS)
    (asked,) = controlled.calls("evaluate")
    shas = [row["id"] for row in samples(Path(asked["tasks"]), SLICE)]
    assert len(set(shas)) == 10
    assert set(shas) <= set(controlled.read(DOCUMENTS)["text_sha"])
    assert all(held_out(sha, 0.1) for sha in shas)


def without_questions(content: dict[str, Any]) -> None:
    content["tasks"] = [task for task in content["tasks"] if task["task"] != "mmlu_dev"]


def broken(content: dict[str, Any]) -> None:
    content["tasks"][-1]["values"][0] = float("nan")


def of_other_samples(content: dict[str, Any]) -> None:
    content["tasks"][-1]["ids"][0] = "another document"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        pytest.param(without_questions, ["tasks differ", "mmlu_dev"], id="a task is missing"),
        pytest.param(broken, [SLICE, "not finite", "weights may be broken"], id="a value is not finite"),
        pytest.param(of_other_samples, [SLICE, "same samples", "evaluate both again"], id="other samples"),
    ],
)
def test_results_that_cannot_be_compared_are_no_report_and_the_reason_is_told(
    controlled: AnnealingWorld, spoil: Callable[[dict[str, Any]], None], says: list[str]
) -> None:
    sound = evaluation(saved=0.2)

    def spoiled(extras: Mapping[str, Any]) -> Mapping[str, Any]:
        reported = sound(extras)
        file = Path(reported["results"][list(extras["models"])[-1]])  # the candidate's
        content = json.loads(file.read_text())
        spoil(content)
        file.write_text(json.dumps(content))
        return reported

    controlled.scripts["evaluate"] = spoiled
    message = failure_of(controlled.run(JOB, LENS, fails=True))
    assert [words for words in says if words not in message] == []
    assert controlled.read(EVAL_REPORTS).is_empty()
    controlled.scripts["evaluate"] = sound
    controlled.run(JOB, LENS)
    assert controlled.read(EVAL_REPORTS).height == 1, "the next run makes it"


def test_a_worker_that_fails_leaves_the_candidate_and_no_report(controlled: AnnealingWorld) -> None:
    def dies(extras: Mapping[str, Any]) -> Mapping[str, Any]:
        raise dg.Failure("worker evaluate was killed; give it more memory")

    controlled.scripts["evaluate"] = dies
    assert "give it more memory" in failure_of(controlled.run(JOB, LENS, fails=True))
    assert controlled.read(EVAL_REPORTS).is_empty()
    assert controlled.read(ANNEALED_MODELS).filter(role="candidate").height == 1


def test_a_slice_that_no_document_is_in_is_named_with_the_sources_that_there_are(controlled: AnnealingWorld) -> None:
    controlled.change_project(evaluation={"mmlu_questions": 4, "slices": {"pages": ["encyclopaedia"]}})
    message = failure_of(controlled.run(JOB, LENS, fails=True))
    assert "'pages'" in message
    assert "encyclopaedia" in message
    assert "sources of the corpus: ['crawl']" in message
    assert controlled.calls("evaluate") == []


def test_a_pair_that_is_compared_again_is_the_newest_report_again(controlled: AnnealingWorld) -> None:
    """Filtered documents go back to what they were: their candidate's report is what people and checks see."""
    controlled.run(JOB, LENS)
    first = controlled.read(EVAL_REPORTS)["report"].item()
    controlled.keep(worth_at_least=3)
    controlled.run(JOB, LENS)
    controlled.keep(worth_at_least=4)
    facts = metadata_of(controlled.run(JOB, LENS), "eval_report")[LENS]
    assert facts["skipped"] is True
    assert len(controlled.calls("evaluate")) == 2
    assert controlled.read(EVAL_REPORTS).sort("created_at")["report"].to_list()[-1] == first
