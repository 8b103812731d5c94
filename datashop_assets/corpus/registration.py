"""Finding new crawl files and bundling them into shards, for the landing sensor, the demo and a notebook alike.

What belongs here: listing -> bundling -> the registry, and what to tell people. What does not: Dagster's partitions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from datashop_assets.corpus.bundling import ChangedFile, bundle, changed_files
from datashop_assets.corpus.registry import register, registered_shards
from datashop_assets.project import Landing, Project
from datashop_assets.records import CrawlFile, Shard
from datashop_assets.seams import Lake


@dataclass(frozen=True)
class Registration:
    """What a look at the landings found. `shards` are all registered ones, in crawl order, the new ones included."""

    shards: tuple[Shard, ...]
    new: tuple[Shard, ...]
    waiting_files: int
    changes: tuple[ChangedFile, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """For metadata: counts, and the files that changed or vanished since they were registered."""
        return {
            "shards": len(self.shards),
            "new shards": len(self.new),
            "files": sum(len(shard.files) for shard in self.shards),
            "bytes": sum(shard.bytes for shard in self.shards),
            "files waiting for their bundle to close": self.waiting_files,
            "changed or vanished files": [str(change) for change in self.changes[:20]],
        }


def register_new_shards(
    lake: Lake,
    project: Project,
    list_files: Callable[[Landing], Sequence[CrawlFile]],
    now: float,
    lineage: Mapping[str, Any],
) -> Registration:
    """Bundle the files of every landing that are in no shard yet, and register the closed bundles.

    `now` is in epoch seconds. Raises what `list_files` raises where a landing cannot be listed.
    """
    known = registered_shards(lake)
    new: list[Shard] = []
    changes: list[ChangedFile] = []
    waiting = 0
    for landing in project.landings:
        files = list_files(landing)
        mine = [shard for shard in known if shard.dataset == landing.dataset]
        made = bundle(files, mine, landing, now)
        new += made
        changes += changed_files(files, mine, landing)
        waiting += len(files) - len({f.path for shard in [*mine, *made] for f in shard.files} & {f.path for f in files})
    register(lake, new, lineage)
    shards = tuple(registered_shards(lake)) if new else tuple(known)
    return Registration(shards, tuple(new), waiting, tuple(changes))
