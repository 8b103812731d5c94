"""Telling a real MLflow store of a training."""

from pathlib import Path

import pytest

from datashop_assets.seams import TrackedTraining
from resources.trackers import TRAINING_TAG, MlflowTracker

TRAINING = TrackedTraining(
    key="edu/abc/v1",
    name="edu abc",
    settings={"recipe.model.kind": "linear", "long": "x" * 10_000},
    figures={"mae": 0.5, "mae_low": 0.4},
    curve=[("validation_mae", 0, 0.9), ("validation_mae", 1, 0.6)],
)


@pytest.mark.models
def test_a_training_is_one_run_however_often_it_is_told_and_an_unfinished_run_is_told_anew(tmp_path: Path) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("project")
    client.create_run(experiment, tags={TRAINING_TAG: TRAINING.key})  # its process was killed
    tracker = MlflowTracker(uri, "project")
    assert tracker.track(TRAINING) == tracker.track(TRAINING)
    (run,) = client.search_runs([experiment])
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"mae": 0.5, "mae_low": 0.4, "validation_mae": 0.6}
    assert run.data.params["recipe.model.kind"] == "linear"
    assert [point.value for point in client.get_metric_history(run.info.run_id, "validation_mae")] == [0.9, 0.6]
