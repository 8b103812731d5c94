"""Both workers through Dagster Pipes: real processes, a real (tiny) model."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl
import pytest

from datashop_assets.annealing.mixture import build_mixture
from datashop_assets.annealing.packing import DocumentEncoder
from datashop_assets.evaluation.compare import compare
from datashop_assets.evaluation.results import ModelResults
from datashop_assets.evaluation.slices import build_slices
from datashop_assets.evaluation.tasks import write_tasks
from datashop_assets.mmlu import mmlu_questions
from datashop_assets.project import AnnealSettings, EvaluationSettings
from datashop_assets_tests.tiny_models import make_tiny_llama
from resources.launchers import SubprocessLauncher

pytestmark = pytest.mark.models

SETTINGS = AnnealSettings(tokens=640, document_tokens=64, sequence_length=32, batch_size=4, checkpoint_steps=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_llama(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def documents() -> pl.DataFrame:
    texts = [f"page {number}: the water of the river number {number}" for number in range(200)]
    return pl.DataFrame(
        {
            "id": [str(number) for number in range(200)],
            "text": texts,
            "text_sha": [hashlib.sha256(text.encode()).hexdigest()[:32] for text in texts],
            "source": "book",
        }
    )


def materialize(run: Any) -> tuple[Mapping[str, Any], list[str]]:
    """What `run(context)` returned inside an asset, and the lines of the run's event log."""
    reported: dict[str, Any] = {}

    @dg.asset
    def throwaway(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        reported.update(run(context))
        return dg.MaterializeResult()

    with dg.instance_for_test() as instance:
        result = dg.materialize([throwaway], instance=instance)
        lines = [entry.user_message for entry in instance.all_logs(result.run_id)]
    return reported, lines


def test_annealing_streams_progress_and_reports_and_is_not_done_twice(
    model: Path, documents: pl.DataFrame, tmp_path: Path
):
    encoder = DocumentEncoder(model, SETTINGS.document_tokens)
    mixture = build_mixture(documents, None, SETTINGS, 0.1, encoder.count)
    mixture.documents.write_parquet(tmp_path / "mixture.parquet")
    extras = {
        "model": str(model),
        "mixture": str(tmp_path / "mixture.parquet"),
        "settings": SETTINGS.model_dump(mode="json"),
        "output": str(tmp_path / "models" / mixture.id),
        "threads": 1,
    }
    first, lines = materialize(lambda context: SubprocessLauncher().run("anneal", extras, context))
    assert [step for step, _ in first["losses"]] == [1, 2, 3, 4, 5]
    assert (tmp_path / "models" / mixture.id / "model.safetensors").exists()
    assert len([line for line in lines if "tokens/s" in line and line.startswith("step ")]) == 5
    again, lines = materialize(lambda context: SubprocessLauncher().run("anneal", extras, context))
    assert again["reused"]
    assert again["losses"] == first["losses"]
    assert any("already trained" in line for line in lines)


def test_evaluation_through_dagsters_own_client_gives_results_that_compare(
    model: Path, documents: pl.DataFrame, tmp_path: Path
):
    settings = EvaluationSettings(slices={"good": ("book",)}, slice_documents=8, held_out_share=0.2)
    write_tasks(tmp_path / "tasks", mmlu_questions(4), build_slices(documents, settings))
    extras = {
        "models": {"control": str(model), "candidate": str(model)},
        "tasks": str(tmp_path / "tasks"),
        "output": str(tmp_path / "results"),
        "threads": 1,
    }

    def run(context: dg.AssetExecutionContext) -> Mapping[str, Any]:
        import sys

        from resources.launchers import REPOSITORY

        command = [sys.executable, "-m", "datashop_assets.workers.evaluate"]
        client = dg.PipesSubprocessClient(cwd=str(REPOSITORY))
        reported: Mapping[str, Any] = client.run(context=context, command=command, extras=extras).get_custom_messages()[
            -1
        ]
        return reported

    reported, lines = materialize(run)
    control, candidate = (
        ModelResults.from_json(Path(reported["results"][name]).read_text()) for name in ("control", "candidate")
    )
    comparison = compare(control, candidate)
    assert comparison.verdict == "no difference shown"  # it is the same model
    assert [(task.task, task.n) for task in comparison.tasks] == [("mmlu_dev", 4), ("slice_good", 8)]
    assert any(line.startswith("candidate: slice_good bits_per_byte") for line in lines)
