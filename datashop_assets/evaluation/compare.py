"""Candidate against control: every task's difference with its uncertainty, and a verdict that keeps to it. Pure.

What belongs here: pairing the results, the verdict and how it reads. What does not: measuring (`harness.py`), the
statistics of one task (`intervals.py`), charts.

Several tasks are looked at together, so each interval is at level 1 - 0.05 / tasks (Bonferroni): all of them hold at
once with 95 %, and the verdict can be read off them. They speak of these two models on samples like these. Another seed
or another draw of the training text is a further source of chance, which one pair of runs cannot show.
"""

import json
from dataclasses import asdict, dataclass
from typing import Literal

from datashop_assets.evaluation.intervals import paired_difference
from datashop_assets.evaluation.results import ModelResults, TaskResult

# Raised by hand when the same results would be compared otherwise.
RECIPE = 2
FAMILY_LEVEL = 0.95

Outcome = Literal["better", "worse", "no difference shown"]


class ComparisonError(ValueError):
    """Results that cannot be compared; the message says what differs."""


@dataclass(frozen=True)
class Gain:
    """A difference turned so that more is better for the candidate; the bounds are null where there is no interval."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class TaskComparison:
    """One task: both scores, and candidate minus control with standard error and interval, in the metric's unit.

    `level` is the interval's own confidence level. The sign of `difference` is the metric's; `outcome` and `gain` know
    which direction is better. Standard error and bounds are null as in `intervals.PairedDifference`.
    """

    task: str
    metric: str
    higher_is_better: bool
    n: int
    control: float
    candidate: float
    difference: float
    standard_error: float | None
    low: float | None
    high: float | None
    level: float

    @property
    def gain(self) -> Gain:
        """The same difference and interval; of a metric where lower is better, with the sign flipped."""
        if self.higher_is_better:
            return Gain(self.difference, self.low, self.high)
        low, high = (None if bound is None else -bound for bound in (self.high, self.low))
        return Gain(-self.difference, low, high)

    @property
    def outcome(self) -> Outcome:
        """Better or worse only where there is an interval and it leaves out 0."""
        gain = self.gain
        if gain.low is not None and gain.low > 0:
            return "better"
        if gain.high is not None and gain.high < 0:
            return "worse"
        return "no difference shown"

    @property
    def interval(self) -> str:
        """The interval as people read it; `no interval` where none can be given."""
        return "no interval" if self.low is None or self.high is None else f"[{self.low:+.4f}, {self.high:+.4f}]"

    @property
    def remark(self) -> str | None:
        """What has to be said of differences that are the same in every sample; null where they vary."""
        if self.standard_error is not None:
            return None
        same = f"{self.task}: the difference is the same in all {self.n} samples, so it has no standard error"
        if self.low is None:
            return f"{same} and no interval; no difference is shown"
        return f"{same}; the interval is what {self.n} samples leave possible"


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
    def gains(self) -> dict[str, Gain]:
        """What the candidate gains on each task, for charts; a label says n, metric and whether the sign is flipped."""
        return {
            f"{task.task} (n={task.n:,})\n{task.metric.replace('_', ' ')}"
            + ("" if task.higher_is_better else ", sign flipped"): task.gain
            for task in self.tasks
        }

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
            error = "none" if task.standard_error is None else f"{task.standard_error:.4f}"
            lines.append(
                f"| {task.task} | {metric} | {task.n} | {task.control:.4f} | {task.candidate:.4f} | "
                f"{task.difference:+.4f} | {error} | {task.interval} | {task.outcome} |"
            )
        lines += [f"\n{remark}." for task in self.tasks if (remark := task.remark)]
        lines += [
            "",
            "Paired differences, candidate minus control. Intervals: Tango's score interval where answers are right or "
            f"wrong, else Student's t; those of the {len(self.tasks)} tasks hold together with {FAMILY_LEVEL:.0%} "
            "(Bonferroni). They speak of these two models on samples like these, not of what another training seed "
            "would give.",
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
    paired = paired_difference(control.values, candidate.values, control.weights, level)
    return TaskComparison(
        task=control.task,
        metric=control.metric,
        higher_is_better=control.higher_is_better,
        n=n,
        control=control.score,
        candidate=candidate.score,
        level=level,
        **vars(paired),
    )
