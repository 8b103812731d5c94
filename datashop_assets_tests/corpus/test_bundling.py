"""Which crawl files make which shards."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datashop_assets.corpus.bundling import ChangedFile, bundle, changed_files
from datashop_assets.project import Landing
from datashop_assets.records import CrawlFile, Shard

NOW = 10_000.0
LANDING = Landing(dataset="web", url="crawl", shard_bytes=100, close_after_s=60, settle_s=0)


def crawl_file(path: str, size: int = 40, modified: float = NOW, etag: str = "v1") -> CrawlFile:
    return CrawlFile(path, size, etag, modified)


def contents(shards: list[Shard]) -> list[list[str]]:
    return [[file.path for file in shard.files] for shard in shards]


listings = st.lists(
    st.builds(
        crawl_file,
        st.text("abcdef0123/", min_size=1, max_size=6),
        st.integers(0, 250),
        st.floats(NOW - 200, NOW, allow_nan=False),
    ),
    max_size=30,
    unique_by=lambda file: file.path,
)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        pytest.param([], [], id="no files, no shards"),
        pytest.param([("a", 40), ("b", 40), ("c", 40)], [["a", "b", "c"]], id="closes once it has reached the size"),
        pytest.param([("b", 60), ("a", 60)], [["a", "b"]], id="files come in the order of their paths"),
        pytest.param([("a", 60), ("b", 60), ("c", 99)], [["a", "b"]], id="the last bundle stays open"),
        pytest.param([("a", 40), ("b", 500), ("c", 10)], [["a"], ["b"]], id="a large file is a shard by itself"),
        pytest.param([("a", 100), ("b", 100)], [["a"], ["b"]], id="a file of just the size is a shard"),
    ],
)
def test_bundles(files: list[tuple[str, int]], expected: list[list[str]]) -> None:
    assert contents(bundle([crawl_file(*file) for file in files], [], LANDING, NOW)) == expected


def test_the_open_bundle_closes_when_its_oldest_file_is_old_enough() -> None:
    files = [crawl_file("a", modified=NOW - 59), crawl_file("b", modified=NOW)]
    assert bundle(files, [], LANDING, NOW) == []
    assert contents(bundle(files, [], LANDING, NOW + 1)) == [["a", "b"]]


def test_a_landing_that_waits_for_nothing_closes_at_once() -> None:
    at_once = LANDING.model_copy(update={"close_after_s": 0})
    assert contents(bundle([crawl_file("a", 1)], [], at_once, NOW)) == [["a"]]


def test_a_file_that_has_not_settled_is_left_for_a_later_shard() -> None:
    settling = LANDING.model_copy(update={"settle_s": 60})
    files = [crawl_file("a", 100, NOW - 59), crawl_file("b", 100, NOW - 60)]
    first = bundle(files, [], settling, NOW)
    assert contents(first) == [["b"]]
    assert contents(bundle(files, first, settling, NOW + 1)) == [["a"]]


def test_files_of_a_withdrawn_shard_are_bundled_anew_under_a_new_number() -> None:
    (withdrawn,) = bundle([crawl_file("a", 100)], [], LANDING, NOW)
    (anew,) = bundle([crawl_file("a", 200, etag="whole")], [], LANDING, NOW, [withdrawn])
    assert (anew.shard, anew.files[0].etag) == ("web-00001", "whole")


def test_keys_go_on_from_the_registered_shards_of_the_same_dataset() -> None:
    mine = Shard("web", "web-00041", 41, (crawl_file("a"),))
    foreign = Shard("books", "books-00099", 99, (crawl_file("b", 100),))
    (new,) = bundle([crawl_file("a"), crawl_file("b", 100)], [mine, foreign], LANDING, NOW)
    assert (new.shard, new.sequence, contents([new])) == ("web-00042", 42, [["b"]])


def test_shards_of_a_pool_only_landing_say_so() -> None:
    pool = LANDING.model_copy(update={"pool_only": True})
    (shard,) = bundle([crawl_file("a", 100)], [], pool, NOW)
    assert shard.pool_only


def test_a_file_that_sorts_before_the_registered_ones_makes_a_new_shard() -> None:
    first = bundle([crawl_file("m", 100)], [], LANDING, NOW)
    later = bundle([crawl_file("a", 100), crawl_file("m", 100)], first, LANDING, NOW)
    assert contents(later) == [["a"]]
    assert later[0].sequence == 1


@given(listings)
def test_every_file_is_in_one_shard_in_order_and_in_bounds(files: list[CrawlFile]) -> None:
    shards = bundle(files, [], LANDING, NOW + 1e6)  # so late that the last bundle closes too
    assert [path for shard in contents(shards) for path in shard] == sorted(file.path for file in files)
    assert [shard.sequence for shard in shards] == list(range(len(shards)))
    for shard in shards:
        assert len(shard.files) == 1 or shard.bytes < 2 * LANDING.shard_bytes
    assert not any(set("|[],") & set(shard.shard) for shard in shards)


@given(listings)
def test_only_shards_before_a_large_file_or_at_the_end_are_small(files: list[CrawlFile]) -> None:
    shards = bundle(files, [], LANDING, NOW + 1e6)
    for shard, following in pairwise(shards):
        assert shard.bytes >= LANDING.shard_bytes or following.files[0].bytes >= LANDING.shard_bytes


@given(listings)
def test_the_order_of_the_listing_does_not_matter(files: list[CrawlFile]) -> None:
    assert bundle(files[::-1], [], LANDING, NOW) == bundle(files, [], LANDING, NOW)


@given(listings)
def test_asking_again_after_registration_brings_nothing_new(files: list[CrawlFile]) -> None:
    shards = bundle(files, [], LANDING, NOW)
    assert bundle(files, shards, LANDING, NOW) == []


@given(listings, st.lists(st.integers(0, 3), max_size=30))
def test_files_arriving_in_any_order_end_in_one_shard_each(files: list[CrawlFile], batches: list[int]) -> None:
    registered: list[Shard] = []
    arrived: list[CrawlFile] = []
    waiting = list(files)
    for size in [*batches, len(waiting)]:
        arrived, waiting = arrived + waiting[:size], waiting[size:]
        registered += bundle(arrived, registered, LANDING, NOW)
    registered += bundle(arrived + waiting, registered, LANDING, NOW + 1e6)
    assert sorted(file.path for shard in registered for file in shard.files) == sorted(f.path for f in files)
    assert [shard.sequence for shard in registered] == list(range(len(registered)))


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        pytest.param(crawl_file("a"), [], id="the same"),
        pytest.param(crawl_file("a", modified=0), [], id="touched, by a store that knows the content"),
        pytest.param(crawl_file("a", etag="v2"), [crawl_file("a", etag="v2")], id="other content of the same size"),
        pytest.param(crawl_file("a", size=41), [crawl_file("a", size=41)], id="grown"),
        pytest.param(crawl_file("b"), [None], id="gone"),
    ],
)
def test_changed_files(listed: CrawlFile, expected: list[CrawlFile | None]) -> None:
    shard = Shard("web", "web-00000", 0, (crawl_file("a"),))
    assert changed_files([listed], [shard], LANDING) == [
        ChangedFile("web-00000", crawl_file("a"), now) for now in expected
    ]


def test_changes_in_other_datasets_are_not_this_landings_business() -> None:
    assert changed_files([], [Shard("books", "books-00000", 0, (crawl_file("a"),))], LANDING) == []


def test_a_change_reads_as_a_sentence() -> None:
    shard = Shard("web", "web-00000", 0, (crawl_file("a"), crawl_file("b")))
    changes = changed_files([crawl_file("a", size=41)], [shard], LANDING)
    assert [str(change) for change in changes] == [
        "a of web-00000 changed: 40 bytes, now 41",
        "b of web-00000 is gone",
    ]
