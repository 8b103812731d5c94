"""What the tests of tracing share: a project with a release, opened as a person who asks questions opens it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.records import FILTERED, RELEASES
from datashop_assets.tracing.steps import Trace
from datashop_assets.tracing.views import View, current
from datashop_assets.tracing.why import why
from datashop_assets_tests.worlds import World, light_export, write_project
from resources.lake_history import DeltaHistory

LENS = "teaching"
SETTINGS = {"rater": "scripted", "sample_per_shard": 40, "cutoff": {"keep_fraction": 0.25}}


@dataclass
class Traced:
    """A world, and its lake's history."""

    world: World

    @property
    def history(self) -> DeltaHistory:
        return DeltaHistory(self.world.lake)

    def trace(self, document: str, view: View | None = None, shard: str | None = None) -> Trace:
        view = view or current(self.history)
        (trace,) = why(view, self.world.lake, self.world.graph, LENS, document, shard)
        return trace

    def documents(self, kept: bool) -> list[str]:
        return sorted(self.world.read(FILTERED.of(LENS)).filter(pl.col("kept") == kept)["id"])

    def release(self, shards: Sequence[str] | None = None) -> str:
        """Filter (these shards) by what the project file asks for now, cut a release, and give its id."""
        for job in ("score_documents", "set_cutoff", "filter_documents", "cut_release"):
            self.world.run(job, LENS, shards=shards)
        return str(self.world.read(RELEASES).sort("created_at")["release"][-1])

    def ask(self, **lens: object) -> None:
        """Change what the project file says of the lens."""
        self.world.change_project(lenses={LENS: SETTINGS | lens})


def finished_world(folder: Path, patch: pytest.MonkeyPatch, shards: int) -> World:
    """A project of one lens with a release of its shards of 40 documents each."""
    patch.setattr("datashop_assets.classifier.produce.export", light_export)
    write_project(folder, lenses={LENS: SETTINGS})
    return World(folder).once(_released, shards)


def _released(world: World, shards: int) -> None:
    world.land_shards(shards)
    world.run_all(LENS)
