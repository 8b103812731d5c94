"""A landing that is listed piece by piece: every file finds its shard, once, and every change is found in time."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.corpus.bundling import bundle, changed_files
from datashop_assets.corpus.progress import Progress, look_on
from datashop_assets.project import Landing
from datashop_assets.records import CrawlFile, Shard
from resources.landing import Listing

LANDING = Landing(dataset="web", url="s3://crawl", shard_bytes=100, close_after_s=0, settle_s=60)
NOW = 1000.0


class Store:
    """Lists from a path on, as S3 does, and counts the files that it listed."""

    def __init__(self, files: Mapping[str, int]) -> None:
        self.files = dict(files)
        self.still_written: set[str] = set()
        self.listed = 0

    def look(self, landing: Landing, after: str = "", most: int | None = None) -> Listing:
        paths = sorted(self.files)
        first = bisect_right(paths, after) if after else 0
        piece = paths[first:] if most is None else paths[first : first + most]
        self.listed += len(piece)
        end = None if first + len(piece) == len(paths) else piece[-1]
        return Listing(
            tuple(
                CrawlFile(path, self.files[path], str(self.files[path]), NOW if path in self.still_written else 0)
                for path in piece
            ),
            (),
            after,
            end,
        )


class Registrar:
    """Looks again and again, as the landing sensor does."""

    def __init__(self, store: Store, most: int) -> None:
        self.store, self.most = store, most
        self.shards: list[Shard] = []
        self.progress = Progress()

    def look(self) -> None:
        pieces = look_on(self.store.look, LANDING, self.progress, self.most)
        files = {file.path: file for piece in pieces for file in piece.files}
        made = bundle(files.values(), self.shards, LANDING, NOW, more=pieces[0].end is not None)
        held_up = pieces[0].end is not None and not made
        changes = changed_files(files.values(), self.shards, LANDING, pieces)
        self.shards += made
        self.progress = self.progress.after(
            pieces, {f.path for s in self.shards for f in s.files}, changes, held_up=held_up
        )

    def looks(self, count: int) -> None:
        for _ in range(count):
            self.progress = Progress.from_json(self.progress.as_json())  # through the sensor's cursor
            self.look()

    @property
    def in_shards(self) -> list[str]:
        return [file.path for shard in self.shards for file in shard.files]


names = st.text("abc/", min_size=1, max_size=4)
crawls = st.dictionaries(names, st.integers(1, 150), max_size=20)


@given(crawls=st.lists(crawls, min_size=1, max_size=3), most=st.integers(1, 7))
def test_every_file_gets_into_one_shard_wherever_it_sorts(crawls: Sequence[Mapping[str, int]], most: int) -> None:
    registrar = Registrar(Store({}), most)
    for crawl in crawls:
        registrar.store.files = dict(crawl) | registrar.store.files
        registrar.looks(2 * len(registrar.store.files) + 2)
    assert sorted(registrar.in_shards) == sorted(registrar.store.files)


@given(crawl=crawls, most=st.integers(1, 7), data=st.data())
def test_files_that_are_still_written_hold_up_no_other_and_come_once_they_are_done(
    crawl: Mapping[str, int], most: int, data: st.DataObject
) -> None:
    registrar = Registrar(Store(crawl), most)
    registrar.store.still_written = data.draw(st.sets(st.sampled_from(sorted(crawl)))) if crawl else set()
    a_round = 2 * len(crawl) + 2
    registrar.looks(2 * a_round)
    assert sorted(registrar.in_shards) == sorted(crawl.keys() - registrar.store.still_written)
    registrar.store.still_written = set()
    registrar.looks(2 * a_round)
    assert sorted(registrar.in_shards) == sorted(crawl)


@given(crawl=crawls, most=st.integers(1, 7), data=st.data())
def test_changed_files_are_counted_once_each_over_all_pieces(
    crawl: Mapping[str, int], most: int, data: st.DataObject
) -> None:
    registrar = Registrar(Store(crawl), most)
    a_round = 2 * len(crawl) + 2
    registrar.looks(a_round)
    changed = data.draw(st.sets(st.sampled_from(sorted(crawl)))) if crawl else set()
    for path in changed:
        registrar.store.files[path] += 1
    registrar.looks(a_round)
    assert sum(registrar.progress.changed_counts.values()) == len(changed)
    registrar.store.files = dict(crawl)
    registrar.looks(a_round)
    assert not registrar.progress.changed_counts


def test_the_progress_of_an_earlier_release_is_read() -> None:
    earlier = {"settled": "b", "swept": "a", "changed": {}, "unknown": ["c.csv"]}
    assert Progress.from_json(earlier) == Progress("b", "a", {}, ("c.csv",))


@given(crawl=crawls.filter(lambda files: len(files) > 1), most=st.integers(1, 7), data=st.data())
def test_a_changed_and_a_vanished_file_are_found_in_one_round_and_not_reported_for_ever(
    crawl: Mapping[str, int], most: int, data: st.DataObject
) -> None:
    registrar = Registrar(Store(crawl), most)
    a_round = 2 * len(crawl) + 2
    registrar.looks(a_round)
    assert not registrar.progress.changed
    gone, changed = data.draw(st.lists(st.sampled_from(sorted(crawl)), min_size=2, max_size=2, unique=True))
    size = registrar.store.files.pop(gone)
    registrar.store.files[changed] += 1
    registrar.looks(a_round)
    assert {path: text.split(" of ")[1].split(" ", 1)[1][:8] for path, text in registrar.progress.changed.items()} == {
        gone: "is gone",
        changed: "changed:",
    }
    assert sorted(registrar.in_shards) == sorted(crawl), "neither is read again"
    registrar.store.files |= {gone: size, changed: registrar.store.files[changed] - 1}
    registrar.looks(a_round)
    assert not registrar.progress.changed


def test_settled_files_are_listed_in_pieces_and_new_ones_at_once() -> None:
    store = Store({f"part-{n:04d}": 100 for n in range(1000)})
    registrar = Registrar(store, most=100)
    registrar.looks(10)
    assert len(registrar.in_shards) == 1000, "100 at a look"
    store.files["part-1000"] = 100
    store.listed = 0
    registrar.looks(1)
    assert registrar.in_shards[-1] == "part-1000"
    assert store.listed == 101


def test_bundles_go_on_over_pieces_of_the_landing_as_if_it_were_listed_at_once() -> None:
    files = {f"part-{n:02d}": 30 for n in range(40)}
    registrar = Registrar(Store(files), most=10)
    registrar.looks(20)
    assert [len(shard.files) for shard in registrar.shards] == [4] * 10
