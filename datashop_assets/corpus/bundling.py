"""Crawl files to shards: which files make the next shards, and what became of the files of old ones.

What belongs here: pure functions over listings. What does not: listing files (`resources/landing.py`), storing shards
(`registry.py`), both in one look at the landings (`registration.py`), adding partitions (`automation/sensors.py`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from datashop_assets.project import Landing
from datashop_assets.records import CrawlFile, Shard
from resources.landing import Listing


@dataclass(frozen=True)
class ChangedFile:
    """A registered file that is not what it was; `now` is None where it is gone."""

    shard: str
    registered: CrawlFile
    now: CrawlFile | None

    def __str__(self) -> str:
        if self.now is None:
            return f"{self.registered.path} of {self.shard} is gone"
        return f"{self.registered.path} of {self.shard} changed: {self.registered.bytes} bytes, now {self.now.bytes}"


def settled(file: CrawlFile, landing: Landing, now: float) -> bool:
    """Whether the file was last modified so long ago that its writer is done; `now` is in epoch seconds."""
    return now - file.modified >= landing.settle_s


def bundle(
    files: Iterable[CrawlFile],
    registered: Sequence[Shard],
    landing: Landing,
    now: float,
    withdrawn: Sequence[Shard] = (),
    *,
    more: bool = False,
) -> list[Shard]:
    """The shards that can be registered now, in order; `now` is in epoch seconds.

    Files come in crawl order (by path) and those of registered shards are left out, so files that are added later,
    wherever their names sort, only ever make new shards. A file that has not settled is left for later. A bundle
    closes when it has reached `shard_bytes`; a file that is as large by itself is a shard by itself. So a shard of
    several files has less than twice `shard_bytes`. The last bundle stays open, and its files wait, until its oldest
    file is `close_after_s` old. Where the landing has `more` files than were listed, the last bundle stays open however
    old, unless it is the only one. Numbers of withdrawn shards are not given again; their files are free.
    """
    mine = [shard for shard in registered if shard.dataset == landing.dataset]
    taken = {file.path for shard in mine for file in shard.files}
    numbers = [shard.sequence for shard in (*mine, *withdrawn) if shard.dataset == landing.dataset]
    closed: list[tuple[CrawlFile, ...]] = []
    pending: list[CrawlFile] = []
    size = 0

    def close() -> None:
        nonlocal size
        if pending:
            closed.append(tuple(pending))
            pending.clear()
            size = 0

    free = (file for file in files if file.path not in taken and settled(file, landing, now))
    for file in sorted(free, key=lambda file: file.path):
        if file.bytes >= landing.shard_bytes:
            close()
        pending.append(file)
        size += file.bytes
        if size >= landing.shard_bytes:
            close()
    old = bool(pending) and now - min(file.modified for file in pending) >= landing.close_after_s
    done = not closed if more else old
    if done:
        close()
    return [
        Shard(landing.dataset, f"{landing.dataset}-{number:05d}", number, bundled, landing.pool_only)
        for number, bundled in enumerate(closed, start=max(numbers, default=-1) + 1)
    ]


def changed_files(
    files: Iterable[CrawlFile],
    registered: Iterable[Shard],
    landing: Landing,
    pieces: Sequence[Listing] = (Listing((), ()),),
) -> list[ChangedFile]:
    """Files of the landing's registered shards whose size or etag is another now, or that are gone; for reporting.

    `files` are those of the `pieces`: one that would lie in none of them is not gone.
    """
    listed = {file.path: file for file in files}
    changes = []
    for shard in registered:
        for file in shard.files if shard.dataset == landing.dataset else ():
            now = listed.get(file.path)
            if now is None and not any(piece.covers(file.path) for piece in pieces):
                continue
            if now is None or (now.bytes, now.etag) != (file.bytes, file.etag):
                changes.append(ChangedFile(shard.shard, file, now))
    return changes
