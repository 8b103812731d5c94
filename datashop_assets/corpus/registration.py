"""Finding new crawl files and bundling them into shards, for the landing sensor, the demo and a notebook alike.

What belongs here: listing -> bundling -> the registry, and what to tell people. What does not: Dagster's partitions.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from datashop_assets.corpus.bundling import bundle, changed_files, settled
from datashop_assets.corpus.progress import LISTED_A_LOOK, Look, Progress, look_on
from datashop_assets.corpus.quality import unreadable_shards
from datashop_assets.corpus.registry import read_registry, register
from datashop_assets.project import Project
from datashop_assets.records import Shard
from datashop_assets.seams import Lake
from resources.landing import LandingError

# Shards x lenses that Dagster's grid was measured with; above it its pages and ticks take long.
MOST_CELLS = 100_000
SHOWN = 20
# The trouble whose words may be others at each look.
CANNOT_BE_LISTED = "landings that cannot be listed"
# A crawl's file that is still being written after so long: its writer hangs, or its clock is wrong.
LONG_S = 24 * 3600.0


@dataclass(frozen=True)
class Registration:
    """What a look at the landings found.

    `shards` are those that the project works on, in crawl order, the `new` ones included; `resting` are the keys of
    all other shards that were ever registered. `progress` says by dataset how far its landing was looked at, and which
    of its files changed, have no known format or are still being written at `now` (epoch seconds). `faults` says by
    dataset why its landing could not be listed, `unreadable` by shard what its file is, `unreadable_folders` are of
    landings that could be listed, `empty` are the datasets of which no file has come yet. `cells` is shards x lenses.
    """

    shards: tuple[Shard, ...]
    resting: tuple[str, ...]
    new: tuple[Shard, ...]
    waiting_files: int
    progress: Mapping[str, Progress]
    unreadable: Mapping[str, str]
    faults: Mapping[str, str]
    unreadable_folders: tuple[str, ...]
    empty: tuple[str, ...]
    cells: int
    now: float

    @property
    def facts(self) -> dict[str, Any]:
        """For metadata: counts, and what somebody should look at."""
        return {
            "shards": len(self.shards),
            "new shards": len(self.new),
            "resting shards": len(self.resting),
            "files": sum(len(shard.files) for shard in self.shards),
            "bytes": sum(shard.bytes for shard in self.shards),
            "files waiting to settle or for their bundle to close": self.waiting_files,
            "cells (shards x lenses)": self.cells,
            "landings where no file has come yet": list(self.empty),
            "changed or vanished files in all": sum(sum(p.changed_counts.values()) for p in self.progress.values()),
            "unknown files in all": sum(sum(p.unknown_counts.values()) for p in self.progress.values()),
            **self.troubles,
        }

    @property
    def troubles(self) -> dict[str, list[str]]:
        """What a person should look at, by kind; every kind has its list, an empty one where all is well."""
        many = f"{self.cells} cells (shards x lenses) are more than {MOST_CELLS}: raise `shard_bytes` of the landings"
        changed, unknown, unsettled = list[str](), list[str](), list[str]()
        for name, each in self.progress.items():
            changed += [*each.changed.values(), *_more(name, each.changed, each.changed_counts)]
            unknown += [*(f"{name}: {path}" for path in each.unknown), *_more(name, each.unknown, each.unknown_counts)]
            unsettled += [
                f"{name}: {path}, since {datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
                for path, at in each.unsettled.items()
                if self.now - at > LONG_S
            ]
        return {
            "changed or vanished files": changed,
            "unknown files": unknown,
            "files still being written after more than a day": unsettled,
            "unreadable shards": [f"{shard}: {fault}" for shard, fault in list(self.unreadable.items())[:SHOWN]],
            CANNOT_BE_LISTED: list(self.faults.values()),
            "folders that cannot be read": list(self.unreadable_folders),
            "too many cells": [many] if self.cells > MOST_CELLS else [],
        }


def _more(dataset: str, named: Collection[str], counts: Mapping[str, int]) -> list[str]:
    """The number of those that are not named."""
    left = sum(counts.values()) - len(named)
    return [f"{dataset}: and {left} more"] if left > 0 else []


def register_new_shards(
    lake: Lake,
    project: Project,
    look: Look,
    now: float,
    lineage: Mapping[str, Any],
    *,
    progress: Mapping[str, Progress] | None = None,
    most_shards: int | None = None,
) -> Registration:
    """Bundle the files of every landing that are in no shard yet, and register the closed bundles.

    `look` lists a landing and raises LandingError where it cannot be listed: that one is reported in `faults`, the
    others are registered. `now` is in epoch seconds. With the `progress` of the last look (an empty one at first), it
    goes on from there, and lists a bounded number of files; without, everything. At most `most_shards` are registered,
    in crawl order; the next look finds the others.
    """
    registry = read_registry(lake)
    new: list[Shard] = []
    faults: dict[str, str] = {}
    folders: list[str] = []
    empty: list[str] = []
    found: dict[str, Progress] = {}
    waiting = 0
    most = None if progress is None else max(1, LISTED_A_LOOK // len(project.landings))
    for landing in project.landings:
        before = (progress or {}).get(landing.dataset, Progress())
        try:
            pieces = look_on(look, landing, before, most)
        except LandingError as error:
            faults[landing.dataset] = str(error)
            found[landing.dataset] = before
            continue
        files = list({file.path: file for piece in pieces for file in piece.files}.values())
        mine = [shard for shard in registry.shards if shard.dataset == landing.dataset]
        made = bundle(files, mine, landing, now, registry.withdrawn, more=pieces[0].end is not None)
        # Bundles are made of all that has settled, where more follows: what is left is being written.
        held_up = pieces[0].end is not None and not made
        made = made if most_shards is None else made[: most_shards - len(new)]
        new += made
        changes = changed_files(files, mine, landing, pieces)
        taken = {file.path for shard in (*mine, *made) for file in shard.files}
        waiting += sum(file.path not in taken for file in files)
        unsettled = {file.path for file in files if file.path not in taken and not settled(file, landing, now)}
        found[landing.dataset] = before.after(pieces, taken, changes, unsettled=unsettled, now=now, held_up=held_up)
        folders += [f"{landing.dataset}: {folder}" for piece in pieces for folder in piece.unreadable]
        if not files and not mine:
            empty.append(landing.dataset)
    register(lake, new, lineage)
    registry = read_registry(lake) if new else registry
    active = registry.active(project)
    keys = {shard.shard for shard in active}
    return Registration(
        shards=tuple(active),
        resting=tuple(s.shard for s in (*registry.shards, *registry.withdrawn) if s.shard not in keys),
        new=tuple(new),
        waiting_files=waiting,
        progress=found,
        unreadable={shard: fault for shard, fault in unreadable_shards(lake).items() if shard in keys},
        faults=faults,
        unreadable_folders=tuple(folders),
        empty=tuple(empty),
        cells=len(active) * len(project.lenses),
        now=now,
    )
