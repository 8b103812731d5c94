"""What the harness measured, sample by sample, as plain frozen values.

What belongs here: the result types and their JSON. What does not: running the harness (`harness.py`), comparing two
models (`compare.py`).
"""

import json
import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class TaskResult:
    """One model on one task. `score` is the sum of `values` over the sum of `weights`.

    Multiple choice: value 1 where the answer is right, else 0, weight 1; the score is accuracy. Perplexity: value
    bits, weight UTF-8 bytes of the document; the score is bits per byte. `ids` name the samples, so that two
    models are compared sample by sample.
    """

    task: str
    metric: str
    higher_is_better: bool
    ids: tuple[str, ...]
    values: tuple[float, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.values) == len(self.weights) or not self.ids:
            raise ValueError(f"task {self.task}: ids, values and weights must be of one length, at least 1")
        if len(set(self.ids)) < len(self.ids):
            raise ValueError(f"task {self.task}: a sample id occurs twice; samples could not be paired")
        if not all(math.isfinite(value) for value in self.values):
            raise ValueError(f"task {self.task}: a sample's value is not finite; the model's weights may be broken")

    @property
    def score(self) -> float:
        return math.fsum(self.values) / math.fsum(self.weights)


@dataclass(frozen=True)
class ModelResults:
    """One model on all tasks."""

    model: str
    tasks: tuple[TaskResult, ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "ModelResults":
        content = json.loads(text)
        tasks = tuple(
            TaskResult(
                task["task"],
                task["metric"],
                task["higher_is_better"],
                tuple(task["ids"]),
                tuple(task["values"]),
                tuple(task["weights"]),
            )
            for task in content["tasks"]
        )
        return cls(content["model"], tasks)
