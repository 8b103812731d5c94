"""Candidate against control: paired differences with their uncertainty, and a verdict that keeps to it. Pure.

What belongs here: the statistics and how they read. What does not: measuring (`harness.py`), charts.

Method. Both models see the same samples, so the difference is estimated sample by sample (E. Miller, "Adding Error
Bars to Evals", 2024, arXiv:2411.00640). A score is a ratio of sums, so the standard error is that of a ratio estimator
(W. Cochran, "Sampling Techniques", 3rd ed. 1977, chapter 6); for accuracy, where every weight is 1, it is the paired t.
Intervals use Student's t with n - 1 degrees of freedom. Several tasks are looked at together, so each interval is at
level 1 - 0.05 / tasks (Bonferroni): all of them hold at once with 95 %, and the verdict can be read off them.
They speak of these two models on samples like these. Another seed or another draw of the training text is a further
source of chance, which one pair of runs cannot show.
"""

import json
import math
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from datashop_assets.evaluation.results import ModelResults, TaskResult
from datashop_assets.records import Estimate

FAMILY_LEVEL = 0.95

Outcome = Literal["better", "worse", "no difference shown"]


class ComparisonError(ValueError):
    """Results that cannot be compared; the message says what differs."""


@dataclass(frozen=True)
class TaskComparison:
    """One task: both scores, and candidate minus control with standard error and interval, in the metric's unit.

    `level` is the interval's own confidence level. The sign of `difference` is the metric's; `outcome` knows which
    direction is better.
    """

    task: str
    metric: str
    higher_is_better: bool
    n: int
    control: float
    candidate: float
    difference: float
    standard_error: float
    low: float
    high: float
    level: float

    @property
    def outcome(self) -> Outcome:
        """Better or worse only where the interval leaves out 0."""
        if self.low <= 0 <= self.high:
            return "no difference shown"
        return "better" if (self.difference > 0) == self.higher_is_better else "worse"


@dataclass(frozen=True)
class Comparison:
    """All tasks of one pair of models."""

    control: str
    candidate: str
    tasks: tuple[TaskComparison, ...]

    @property
    def verdict(self) -> str:
        """`no difference shown`, `candidate better on ...`, `candidate worse on ...`, or `mixed: ...`."""
        better = [task.task for task in self.tasks if task.outcome == "better"]
        worse = [task.task for task in self.tasks if task.outcome == "worse"]
        if better and worse:
            return f"mixed: candidate better on {', '.join(better)}; worse on {', '.join(worse)}"
        if better or worse:
            return f"candidate {'better' if better else 'worse'} on {', '.join(better or worse)}"
        return "no difference shown"

    @property
    def differences(self) -> dict[str, Estimate]:
        """Candidate minus control by task, for charts."""
        return {task.task: Estimate(task.difference, task.low, task.high, task.n) for task in self.tasks}

    def to_json(self) -> str:
        """The comparison with its verdict, for the eval_reports table."""
        tasks = [{**asdict(task), "outcome": task.outcome} for task in self.tasks]
        content = {"control": self.control, "candidate": self.candidate, "verdict": self.verdict, "tasks": tasks}
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str) -> "Comparison":
        content = json.loads(text)
        rows = [{key: value for key, value in row.items() if key != "outcome"} for row in content["tasks"]]
        return cls(content["control"], content["candidate"], tuple(TaskComparison(**row) for row in rows))

    def to_markdown(self) -> str:
        """A table with one row a task, the verdict above it and below it what the intervals do and do not say."""
        lines = [
            f"**{self.verdict}**",
            "",
            "| task | metric | n | control | candidate | difference | standard error | interval | shown |",
            "|---|---|---:|---:|---:|---:|---:|---:|---|",
        ]
        for task in self.tasks:
            metric = f"{task.metric.replace('_', ' ')} ({'higher' if task.higher_is_better else 'lower'} is better)"
            lines.append(
                f"| {task.task} | {metric} | {task.n} | {task.control:.4f} | {task.candidate:.4f} | "
                f"{task.difference:+.4f} | {task.standard_error:.4f} | [{task.low:+.4f}, {task.high:+.4f}] | "
                f"{task.outcome} |"
            )
        lines += [
            "",
            f"Paired differences, candidate minus control. The {len(self.tasks)} intervals hold together with "
            f"{FAMILY_LEVEL:.0%} (Bonferroni, Student's t). They speak of these two models on samples like these, "
            "not of what another training seed would give.",
        ]
        return "\n".join(lines)


def compare(control: ModelResults, candidate: ModelResults) -> Comparison:
    """Compare two models that were evaluated on the same samples of the same tasks.

    Raises ComparisonError where tasks, samples or weights differ, or a task has fewer than two samples.
    """
    ours, theirs = ({task.task: task for task in results.tasks} for results in (candidate, control))
    if ours.keys() != theirs.keys() or not ours:
        raise ComparisonError(f"tasks differ: candidate has {sorted(ours)}, control has {sorted(theirs)}")
    level = 1 - (1 - FAMILY_LEVEL) / len(ours)
    tasks = tuple(_compare_task(theirs[name], ours[name], level) for name in sorted(ours))
    return Comparison(control.model, candidate.model, tasks)


def _compare_task(control: TaskResult, candidate: TaskResult, level: float) -> TaskComparison:
    if (control.ids, control.weights, control.metric) != (candidate.ids, candidate.weights, candidate.metric):
        raise ComparisonError(
            f"task {control.task}: control and candidate were not evaluated on the same samples; evaluate both again"
        )
    n = len(control.ids)
    if n < 2:
        raise ComparisonError(f"task {control.task}: {n} sample gives no standard error; evaluate on more")
    from scipy.stats import t

    weights = np.asarray(control.weights)
    deltas = np.asarray(candidate.values) - np.asarray(control.values)
    difference = float(deltas.sum() / weights.sum())
    residuals = deltas - difference * weights  # of sum zero
    standard_error = math.sqrt(float(residuals @ residuals) / (n * (n - 1))) / float(weights.mean())
    reach = float(t.ppf((1 + level) / 2, n - 1)) * standard_error
    return TaskComparison(
        task=control.task,
        metric=control.metric,
        higher_is_better=control.higher_is_better,
        n=n,
        control=control.score,
        candidate=candidate.score,
        difference=difference,
        standard_error=standard_error,
        low=difference - reach,
        high=difference + reach,
        level=level,
    )
