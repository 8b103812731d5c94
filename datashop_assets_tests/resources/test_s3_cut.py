"""The connection to S3 is cut: what is under way ends well or asks to be tried again; nothing is doubled or lost."""

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pytest

from datashop_assets.durable import files_below
from datashop_assets.records import TableSpec
from datashop_assets.seams import PermanentError
from datashop_assets_tests.object_store_server import ObjectStoreServer
from datashop_assets_tests.proxy import CutError, Proxy, Watch, proxy_to
from resources import object_store
from resources.lake import DeltaLake, LakeError
from resources.model_store import open_model_store
from resources.object_store import ObjectStoreError
from resources.stored_folders import MANIFEST

RECORDS = TableSpec("records", {"id": pl.String, "value": pl.Int64}, key="id")
CELLS = TableSpec(
    "cells", {"shard": pl.String, "id": pl.String, "version": pl.String}, ("shard",), key="id", version_column="version"
)
CUT_S = 2.0


@contextmanager
def behind_a_proxy(server: ObjectStoreServer, url: str, watch: Watch) -> Iterator[tuple[DeltaLake, DeltaLake, Proxy]]:
    """The lake as a client behind the proxy has it, and as everybody else has it."""
    with proxy_to(server.options["AWS_ENDPOINT_URL"], watch) as proxy:
        yield DeltaLake(url, server.options | {"AWS_ENDPOINT_URL": proxy.url}), DeltaLake(url, server.options), proxy


def append(lake: DeltaLake, key: str) -> int:
    frame = pl.DataFrame([(key, 1)], schema=RECORDS.schema, orient="row")
    return lake.commit(RECORDS, frame, None, {"key": key}).version


def replace(lake: DeltaLake, key: str) -> int:
    frame = pl.DataFrame([("s", key, "v1")], schema=CELLS.schema, orient="row")
    return lake.commit(CELLS, frame, [{"shard": "s", "version": "v1"}], {"key": key}).version


def is_log_entry(request: str) -> bool:
    return request.startswith("PUT ") and "/_delta_log/" in request


class Once:
    """Does something at the first request that is meant."""

    def __init__(self, meant: Callable[[str, int | None], bool], act: Callable[[], None]) -> None:
        self.meant, self.act, self.done = meant, act, False

    def __call__(self, request: str, status: int | None) -> None:
        if not self.done and self.meant(request, status):
            self.done = True
            self.act()


def lose() -> None:
    raise CutError


@pytest.mark.parametrize(("commit", "table"), [(append, RECORDS), (replace, CELLS)], ids=["appended", "replaced"])
def test_a_commit_whose_answer_is_lost_is_there_once(
    commit: Callable[[DeltaLake, str], int], table: TableSpec, s3_server: ObjectStoreServer, s3_url: str
) -> None:
    """The log's entry is in the store, but the client never hears of it and sends it again, which is refused. What
    appends writes another that adds the same file; what replaces would replace its own file, and knows it again."""
    commit(DeltaLake(s3_url, s3_server.options), "first")
    lost = Once(lambda request, status: is_log_entry(request) and status == 200, lose)
    # In a process of its own: the library reads a table's history without letting go of Python's lock, so that a proxy
    # in the same process could not pass on what it asks for.
    spawned = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
    with spawned, behind_a_proxy(s3_server, s3_url, lost) as (cut, direct, _):
        version = spawned.submit(commit, cut, "second").result()
        assert lost.done
        assert direct.version(table) == version
        found = sorted(direct.read(table)["id"])
        stored = direct.open(table)
        assert stored is not None
        entries = sum(entry.get("datashop.key") == "second" for entry in stored.history())
    assert (found, entries) == ((["first", "second"], 2) if table is RECORDS else (["second"], 1))


def hang(proxy: Proxy) -> None:
    """Nothing passes for CUT_S, as behind a switch that restarts."""
    proxy.stop()
    threading.Timer(CUT_S, proxy.resume).start()


def reset(proxy: Proxy) -> None:
    """What is open is closed, and what is opened anew hangs for CUT_S."""
    proxy.cut()
    hang(proxy)


def writes_data(request: str, status: int | None) -> bool:
    return request.startswith("PUT ") and request.endswith(".parquet") and status is None


def writes_the_log(request: str, status: int | None) -> bool:
    return is_log_entry(request) and status is None


def has_written_the_log(request: str, status: int | None) -> bool:
    return is_log_entry(request) and status == 200


def reads_data(request: str, status: int | None) -> bool:
    return request.startswith("GET ") and ".parquet" in request and status is None


@pytest.mark.parametrize("fault", [hang, reset])
@pytest.mark.parametrize("moment", [writes_data, writes_the_log, has_written_the_log])
def test_a_commit_outlives_a_cut_and_is_there_once(
    fault: Callable[[Proxy], None],
    moment: Callable[[str, int | None], bool],
    s3_server: ObjectStoreServer,
    s3_url: str,
) -> None:
    append(DeltaLake(s3_url, s3_server.options), "first")
    cut_off = Once(moment, lambda: fault(proxy))
    with behind_a_proxy(s3_server, s3_url, cut_off) as (cut, direct, proxy):
        version = append(cut, "second")
        assert cut_off.done
        assert sorted(direct.read(RECORDS)["id"]) == ["first", "second"]
        assert direct.version(RECORDS) == version


@pytest.mark.parametrize("fault", [hang, reset])
def test_a_read_outlives_a_cut(fault: Callable[[Proxy], None], s3_server: ObjectStoreServer, s3_url: str) -> None:
    append(DeltaLake(s3_url, s3_server.options), "first")
    cut_off = Once(reads_data, lambda: fault(proxy))
    with behind_a_proxy(s3_server, s3_url, cut_off) as (cut, _, proxy):
        assert cut.read(RECORDS)["id"].to_list() == ["first"]
        assert cut_off.done


@pytest.mark.parametrize("fault", [hang, reset])
def test_an_upload_of_a_model_goes_on_after_a_cut(
    fault: Callable[[Proxy], None], s3_server: ObjectStoreServer, s3_url: str, tmp_path: Path
) -> None:
    files = {"config.json": b"{}", "model.safetensors": os.urandom(9_000_000), "tokenizer.json": b"[]"}
    (tmp_path / "made").mkdir()
    for name, content in files.items():
        (tmp_path / "made" / name).write_bytes(content)
    cut_off = Once(lambda request, status: "model.safetensors" in request and status is None, lambda: fault(proxy))
    with proxy_to(s3_server.options["AWS_ENDPOINT_URL"], cut_off) as proxy:
        store = open_model_store(s3_url, tmp_path, s3_server.options | {"AWS_ENDPOINT_URL": proxy.url})
        uri = store.put("m/1", tmp_path / "made")
    assert cut_off.done
    fetched = open_model_store(s3_url, tmp_path / "elsewhere", s3_server.options).fetch(uri)
    assert {name: path.read_bytes() for name, path in files_below(fetched).items() if name != MANIFEST} == files


def test_a_store_that_stays_away_is_an_error_to_try_again(
    s3_server: ObjectStoreServer, s3_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is as it was, and no model is there; another attempt does it."""
    monkeypatch.setattr(object_store, "PAUSES_S", (0.1,))
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "config.json").write_text("{}")

    def always(request: str, status: int | None) -> None:
        raise CutError

    append(DeltaLake(s3_url, s3_server.options), "first")
    with behind_a_proxy(s3_server, s3_url, always) as (cut, direct, _):
        with pytest.raises((LakeError, OSError)) as of_the_lake:
            append(cut, "second")
        with pytest.raises(ObjectStoreError) as of_the_models:
            open_model_store(s3_url, tmp_path, dict(cut.storage_options)).put("m/1", tmp_path / "made")
        assert not isinstance(of_the_lake.value, PermanentError)
        assert not isinstance(of_the_models.value, PermanentError)
        assert direct.read(RECORDS)["id"].to_list() == ["first"]
    append(direct, "second")
    assert sorted(direct.read(RECORDS)["id"]) == ["first", "second"]
