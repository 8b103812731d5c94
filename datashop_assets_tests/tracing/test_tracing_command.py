"""The command line: what it prints, and that bad input is one sentence and a non-zero exit."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from datashop_assets.records import FILTERED
from datashop_assets.tracing.__main__ import main
from datashop_assets_tests.tracing.traced_worlds import LENS, Traced, finished_world

Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    """One world for all questions: asking changes nothing."""
    with pytest.MonkeyPatch.context() as patch:
        world = finished_world(tmp_path_factory.mktemp("project"), patch, shards=2)
        patch.setenv("DATASHOP_PROJECT", str(world.profile.project_file))
        yield Traced(world)


@pytest.fixture
def ask(traced: Traced, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = main(arguments)
        told = capsys.readouterr()
        return status, told.out, told.err

    return asked


def test_why_prints_the_verdict_first(traced: Traced, ask: Ask) -> None:
    status, out, _ = ask("why", LENS, traced.documents(kept=True)[0])
    assert status == 0
    assert out.splitlines()[1].startswith("Kept")


def test_every_command_speaks_json(traced: Traced, ask: Ask) -> None:
    kept = traced.documents(kept=True)[0]
    assert json.loads(ask("why", LENS, kept, "--json")[1])[0]["kept"] is True
    tables = {row["table"]: row for row in json.loads(ask("tables", "--json")[1])}
    assert (tables[f"scores/{LENS}"]["rows"], tables[f"scores/{LENS}"]["by"]) == (80, "scores")
    where = ["--where", f"id = '{kept}' AND kept"]
    (row,) = json.loads(ask("table", f"filtered_documents/{LENS}", *where, "--json")[1])
    assert row["reason"] == "kept"


def test_tables_counts_what_the_tables_have(traced: Traced, ask: Ask) -> None:
    counted = {row["table"]: row["rows"] for row in json.loads(ask("tables", "--json")[1])}
    assert set(counted) == set(traced.world.table_versions())
    assert counted[f"filtered_documents/{LENS}"] == traced.world.read(FILTERED.of(LENS)).height


def test_a_table_is_opened_as_it_was(traced: Traced, ask: Ask) -> None:
    name = f"filtered_documents/{LENS}"
    assert json.loads(ask("table", name, "--version", "0", "--json")[1]) == []
    assert len(json.loads(ask("table", name, "--version", "1", "--where", "kept", "--head", "99", "--json")[1])) == 20
    before = traced.history.state(name).written_at - timedelta(milliseconds=1)
    assert json.loads(ask("table", name, "--at", before.isoformat(), "--json")[1]) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["why", "taste", "x"], "lens 'taste' is not enabled", id="unknown lens"),
        pytest.param(["why", LENS, "x"], "no document has the id 'x'", id="unknown id"),
        pytest.param(["why", LENS], "name the document", id="no id"),
        pytest.param(["why", LENS, "x", "--release", "zz"], "no release is called 'zz'", id="unknown release"),
        pytest.param(["why", LENS, "--file", "a.jsonl", "--row", "3"], "row 3 of a.jsonl", id="unknown row"),
        pytest.param(["diff", "zz", "zy"], "no release is called 'zz'", id="unknown releases"),
        pytest.param(["table", "cakes"], "no table 'cakes'", id="unknown table"),
        pytest.param(["table", "documents", "--version", "999"], "no version 999", id="unknown version"),
        pytest.param(["table", "documents", "--at", "2001-01-01"], "not there yet", id="before there was a lake"),
        pytest.param(["table", "documents", "--where", "id ="], "no SQL condition", id="condition"),
        pytest.param(["table", "documents", "--where", "price > 3"], "no column price", id="column"),
        pytest.param(["table", "documents", "--where", "id > 3"], "does not fit", id="type"),
    ],
)
def test_bad_input_is_one_sentence_and_an_exit_code(ask: Ask, arguments: list[str], words: str) -> None:
    status, out, error = ask(*arguments)
    assert (status, out) == (1, "")
    assert words in error
    assert len(error.strip().splitlines()) == 1
