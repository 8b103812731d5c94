"""How far the looks at a landing have come, so that a large one is listed piece by piece and never twice at once.

What belongs here: which piece of a landing is listed next, and what is remembered of the others. What does not: listing
(`resources/landing.py`), what becomes of the files (`registration.py`), where this is kept (`automation/sensors.py`).

Nothing is lost where it is lost: a look without it begins at the landing's start.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from datashop_assets.corpus.bundling import ChangedFile
from datashop_assets.project import Landing
from resources.landing import Listing

Look = Callable[[Landing, str, int | None], Listing]

# Files of all landings together that one look lists of a store that lists from a key on: 20 requests to S3, of some
# 0.2 s each. 200,000 settled files are then compared with what was registered every 10 to 20 looks.
LISTED_A_LOOK = 20_000
# Changed, unknown and unsettled files that are remembered by name of each landing: of more, the count alone.
REMEMBERED = 20


@dataclass(frozen=True)
class Progress:
    """Of one landing. All files up to the path `settled` were in shards when they were listed, but for those that their
    writers were not done with; those up to `swept` have been compared with what was registered in the present round.

    `changed` (path -> what happened) and `unknown` are the files in need of a person that these looks found, as many
    as are named; `changed_counts` and `unknown_counts` are the numbers of all, by the path that a piece of the landing
    begins behind. `unsettled` says of files that are still being written when they were first found so (epoch seconds).
    """

    settled: str = ""
    swept: str = ""
    changed: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    changed_counts: Mapping[str, int] = field(default_factory=dict)
    unknown_counts: Mapping[str, int] = field(default_factory=dict)
    unsettled: Mapping[str, float] = field(default_factory=dict)

    def after(
        self,
        pieces: Sequence[Listing],
        in_shards: Collection[str],
        changes: Sequence[ChangedFile],
        *,
        unsettled: Collection[str] = (),
        now: float = 0.0,
        held_up: bool = False,
    ) -> "Progress":
        """The progress once the pieces were looked at, and the files `in_shards` (paths) have their shards.

        `unsettled` are the files that were still being written `now` (epoch seconds). Where they alone are left of the
        newest piece, it is `held_up`: the looks go on behind it, and the sweep finds them once they are done.
        """
        newest, *swept = pieces
        settled = newest.after
        for file in newest.files:
            if file.path not in in_shards:
                break
            settled = file.path
        else:
            settled = newest.end or settled
        if held_up:
            settled = newest.end or settled
        end = next((piece.end for piece in swept), self.swept)
        known = {path: text for path, text in self.changed.items() if not any(piece.covers(path) for piece in pieces)}
        found = {change.registered.path: str(change) for change in changes}
        unknown = {path for piece in pieces for path in piece.unknown}
        unknown |= {path for path in self.unknown if not any(piece.covers(path) for piece in pieces)}
        return Progress(
            settled,
            end if end is not None and end < settled else "",
            dict(islice((known | found).items(), REMEMBERED)),
            tuple(sorted(unknown)[:REMEMBERED]),
            _counted(self.changed_counts, pieces, found),
            _counted(self.unknown_counts, pieces, {path for piece in pieces for path in piece.unknown}),
            self._still_unsettled(pieces, unsettled, now),
        )

    def _still_unsettled(self, pieces: Sequence[Listing], unsettled: Collection[str], now: float) -> dict[str, float]:
        """When each was first found, those that have waited longest."""
        elsewhere = {path: at for path, at in self.unsettled.items() if not any(piece.covers(path) for piece in pieces)}
        waiting = elsewhere | {path: self.unsettled.get(path, now) for path in unsettled}
        return dict(sorted(waiting.items(), key=lambda each: (each[1], each[0]))[:REMEMBERED])

    def as_json(self) -> dict[str, Any]:
        """For a cursor."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Progress":
        """The inverse of `as_json`."""
        return cls(**dict(values) | {"unknown": tuple(values["unknown"])})


def _counted(known: Mapping[str, int], pieces: Sequence[Listing], found: Collection[str]) -> dict[str, int]:
    """The counts by piece, those of the pieces anew. Where pieces have moved since, a round of looks puts it right."""
    counts = {
        begin: count
        for begin, count in known.items()
        if not any(piece.after <= begin and (piece.end is None or begin < piece.end) for piece in pieces)
    }
    for path in found:
        begin = next((piece.after for piece in pieces if piece.covers(path)), None)
        if begin is not None:
            counts[begin] = counts.get(begin, 0) + 1
    return counts


def look_on(look: Look, landing: Landing, progress: Progress, most: int | None) -> list[Listing]:
    """The next pieces of the landing: what lies behind its settled files and, where that is not all, the next of
    those. A store that cannot list from a path on gives one piece, the whole. `most` is the files of a piece."""
    newest = look(landing, progress.settled, most)
    return [newest] if not newest.after else [newest, look(landing, progress.swept, most)]
