"""Finding new crawl files and bundling them into shards, for the landing sensor, the demo and a notebook alike.

What belongs here: listing -> bundling -> the registry, and what to tell people. What does not: Dagster's partitions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from datashop_assets.corpus.bundling import ChangedFile, bundle, changed_files
from datashop_assets.corpus.quality import unreadable_shards
from datashop_assets.corpus.registry import active_shards, read_registry, register
from datashop_assets.project import Landing, Project
from datashop_assets.records import Shard
from datashop_assets.seams import Lake
from resources.landing import LandingError, Listing

# Shards x lenses that Dagster's grid was measured with; above it its pages and ticks take long.
MOST_CELLS = 100_000
SHOWN = 20


@dataclass(frozen=True)
class Registration:
    """What a look at the landings found.

    `shards` are those that the project works on, in crawl order, the `new` ones included; `resting` are the keys of
    all other shards that were ever registered. `faults` are of landings that could not be listed, `unreadable` says
    by shard what its file is, `cells` is shards x lenses.
    """

    shards: tuple[Shard, ...]
    resting: tuple[str, ...]
    new: tuple[Shard, ...]
    waiting_files: int
    changes: tuple[ChangedFile, ...]
    unknown_files: tuple[str, ...]
    unreadable: Mapping[str, str]
    faults: tuple[str, ...]
    cells: int

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
            **self.troubles,
        }

    @property
    def troubles(self) -> dict[str, list[str]]:
        """What a person should look at, by kind; every kind has its list, an empty one where all is well."""
        many = f"{self.cells} cells (shards x lenses) are more than {MOST_CELLS}: raise `shard_bytes` of the landings"
        return {
            "changed or vanished files": [str(change) for change in self.changes[:SHOWN]],
            "unknown files": list(self.unknown_files[:SHOWN]),
            "unreadable shards": [f"{shard}: {fault}" for shard, fault in list(self.unreadable.items())[:SHOWN]],
            "landings that cannot be listed": list(self.faults),
            "too many cells": [many] if self.cells > MOST_CELLS else [],
        }


def register_new_shards(
    lake: Lake, project: Project, look: Callable[[Landing], Listing], now: float, lineage: Mapping[str, Any]
) -> Registration:
    """Bundle the files of every landing that are in no shard yet, and register the closed bundles.

    `look` lists a landing and raises LandingError where it cannot be listed: that one is reported in `faults`, the
    others are registered. `now` is in epoch seconds.
    """
    registry = read_registry(lake)
    new: list[Shard] = []
    changes: list[ChangedFile] = []
    unknown: list[str] = []
    faults: list[str] = []
    waiting = 0
    for landing in project.landings:
        try:
            listing = look(landing)
        except LandingError as error:
            faults.append(str(error))
            continue
        mine = [shard for shard in registry.shards if shard.dataset == landing.dataset]
        made = bundle(listing.files, mine, landing, now, registry.withdrawn)
        new += made
        changes += changed_files(listing.files, mine, landing)
        unknown += [f"{landing.dataset}: {path}" for path in listing.unknown]
        taken = {file.path for shard in (*mine, *made) for file in shard.files}
        waiting += sum(file.path not in taken for file in listing.files)
    register(lake, new, lineage)
    active = active_shards(lake, project)
    keys = {shard.shard for shard in active}
    return Registration(
        shards=tuple(active),
        resting=tuple(s.shard for s in (*registry.shards, *registry.withdrawn) if s.shard not in keys),
        new=tuple(new),
        waiting_files=waiting,
        changes=tuple(changes),
        unknown_files=tuple(unknown),
        unreadable={shard: fault for shard, fault in unreadable_shards(lake).items() if shard in keys},
        faults=tuple(faults),
        cells=len(active) * len(project.lenses),
    )
