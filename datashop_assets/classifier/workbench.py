"""Where long trainings of classifiers run, and where they get the models that they start from.

What belongs here: what a recipe may ask of the world. What does not: the world (`resources/`), the trainings.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from datashop_assets.seams import Launcher, ModelFiles

# The name of a worker and its extras; gives what the worker reports.
Launch = Callable[[str, Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class Workbench:
    """`launch` runs a worker and waits for it; `work` is a local folder for its files, which a killed run leaves and
    the next one goes on from."""

    launch: Launch
    files: ModelFiles
    work: Path


class Workers(Protocol):
    """Who runs a project's workers, and their local folder."""

    @property
    def launcher(self) -> Launcher: ...

    @property
    def work(self) -> Path: ...


def workbench(workers: Workers, files: ModelFiles, context: Any) -> Workbench:
    """The project's work bench for classifiers; `context` is the asset's execution context, for the launcher."""
    return Workbench(
        lambda worker, extras: workers.launcher.run(worker, extras, context), files, workers.work / "classifiers"
    )
