"""Trackers: trainings as runs of an MLflow store, or only remembered.

What belongs here: telling a tracker of a training. What does not: what it is told
(`datashop_assets/classifier/sharing.py`).
"""

import time
from dataclasses import dataclass, field

from datashop_assets.seams import PermanentError, TrackedTraining

TRAINING_TAG = "datashop.training"
# MLflow's bound on the length of a parameter's value.
LONGEST_VALUE = 6000


class TrackerError(PermanentError):
    """A tracker that cannot be used as it is set; the message says what to change."""


@dataclass(frozen=True)
class MlflowTracker:
    """`seams.Tracker` on an MLflow store: `uri` is a sqlite file or a tracking server."""

    uri: str
    experiment: str

    def track(self, training: TrackedTraining) -> str:
        """See `seams.Tracker`. A run that was not finished, because this process was killed, is told anew."""
        try:
            from mlflow import MlflowClient
            from mlflow.entities import Metric, Param
        except ImportError as error:
            raise TrackerError("`tracker` needs MLflow: pip install 'datashop[tracking]'") from error
        client = MlflowClient(tracking_uri=self.uri)
        known = client.get_experiment_by_name(self.experiment)
        experiment = known.experiment_id if known else client.create_experiment(self.experiment)
        for run in client.search_runs([experiment], f"tags.`{TRAINING_TAG}` = '{training.key}'"):
            if run.info.status == "FINISHED":
                return f"{self.uri} run {run.info.run_id}"
            client.delete_run(run.info.run_id)
        identity: str = client.create_run(
            experiment, run_name=training.name, tags={TRAINING_TAG: training.key}
        ).info.run_id
        now = int(time.time() * 1000)
        figures = [Metric(name, value, now, 0) for name, value in training.figures.items()]
        curve = [Metric(name, value, now, step) for name, step, value in training.curve]
        settings = [Param(name, value[:LONGEST_VALUE]) for name, value in training.settings.items()]
        client.log_batch(identity, metrics=[*figures, *curve], params=settings)
        client.set_terminated(identity)
        return f"{self.uri} run {identity}"


@dataclass(frozen=True)
class ScriptedTracker:
    """For tests: remembers each training by its key."""

    told: dict[str, TrackedTraining] = field(default_factory=dict)

    def track(self, training: TrackedTraining) -> str:
        self.told.setdefault(training.key, training)
        return f"scripted {training.key}"
