"""What leaves the project about a classifier, where its project file says so: the published folder, a tracker's run.

What belongs here: which files are published, and what a tracker is told. What does not: hubs and trackers
(`resources/`).
"""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datashop_assets.classifier.confident_errors import ERRORS_FILE
from datashop_assets.classifier.registry import ClassifierRecord
from datashop_assets.classifier.report import Report
from datashop_assets.seams import ModelStore, Publisher, TrackedTraining
from datashop_assets.sharing_settings import PublishSettings

# Documents' texts, ids and labels are the corpus's, not the model's.
NEVER_PUBLISHED = (ERRORS_FILE, "held_out.parquet", "_COMPLETE.json")


def publish_classifier(
    record: ClassifierRecord, models: ModelStore, publisher: Publisher, settings: PublishSettings
) -> str:
    """Push the classifier's folder, without documents and their labels, and return where it stands."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "model"
        shutil.copytree(models.fetch(record.uri), folder, ignore=shutil.ignore_patterns(*NEVER_PUBLISHED))
        message = f"classifier {record.classifier} of lens {record.lens}"
        return publisher.publish(settings.repository, folder, settings.private, message)


def tracked_training(record: ClassifierRecord, report: Report, recipe: Mapping[str, Any]) -> TrackedTraining:
    """A training as a tracker is told of it: the recipe's settings, held-out figures with bounds, the curve."""
    figures = {
        f"{name}{end}": value
        for name, figure in report.figures.items()
        if figure is not None
        for end, value in (("", figure.value), ("_low", figure.low), ("_high", figure.high))
    }
    said = {
        "lens": record.lens,
        "lens_version": report.lens_version,
        "encoder": record.encoder,
        "rater": record.rater or "",
        "passed": str(record.passed),
        **{name: str(value) for name, value in _flat(recipe).items()},
        **{f"labels.{name}": str(count) for name, count in vars(report.counts).items()},
    }
    curve = [
        (name, number, value)
        for number, step in enumerate(report.log)
        for name, value in (("train_loss", step.train_loss), ("validation_mae", step.validation_mae))
        if value is not None
    ]
    key = f"{record.lens}/{record.classifier}/{record.inputs_version}"
    return TrackedTraining(key, f"{record.lens} {record.classifier}", said, figures, curve)


def _flat(values: Mapping[str, Any], before: str = "recipe.") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{before}{name}.") if isinstance(value, Mapping) else {f"{before}{name}": value}
    return found
