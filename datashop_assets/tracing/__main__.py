"""`python -m datashop_assets.tracing why|diff|table|tables`: why was this kept, and what changed?

What belongs here: the command line. What does not: what is found out (`why.py`, `release_diff.py`, `lake_tables.py`).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from datashop_assets.graph import load_graph
from datashop_assets.tracing.frames import frame_rows, frame_text
from datashop_assets.tracing.lake_tables import open_table, read_head, table_list
from datashop_assets.tracing.release_diff import diff_releases
from datashop_assets.tracing.views import TraceError, View, at_release, at_time, current
from datashop_assets.tracing.why import why, why_row
from resources.lake_history import DeltaHistory
from resources.profiles import open_lake, profile_from_environment, project_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer one question about the lake that the environment names; returns the exit status, 1 for a question that has
    no answer, which is told in a sentence."""
    given = _parser().parse_args(arguments)
    try:
        print(given.answer(given))  # noqa: T201
    except (LookupError, ValueError) as error:
        print(error.args[0] if error.args else error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m datashop_assets.tracing", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(name: str, words: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=words, description=words)
        made.add_argument("--json", action="store_true", help="for programs")
        return made

    of_document = command("why", "trace a document through every table, with versions and reasons")
    of_document.set_defaults(answer=_why)
    of_document.add_argument("lens")
    of_document.add_argument("document", nargs="?", help="its id")
    of_document.add_argument("--shard", help="look in this shard alone, which is much faster in a large lake")
    of_document.add_argument("--file", help="instead of an id: the crawl file that it came from, and")
    of_document.add_argument("--row", type=int, help="the row or line in the file, from 0")
    when = of_document.add_mutually_exclusive_group()
    when.add_argument("--release", help="the lake as this release read it")
    when.add_argument("--at", type=_time, help="the lake as it stood at this time (ISO 8601, UTC where none is said)")

    of_releases = command("diff", "what was added to and removed from a release, by reason")
    of_releases.set_defaults(answer=_diff)
    of_releases.add_argument("before", metavar="RELEASE_A")
    of_releases.add_argument("after", metavar="RELEASE_B")
    of_releases.add_argument("--examples", type=int, default=3, help="of each kind of change (default: 3)")

    of_table = command("table", "rows of any table, at any version that is still there")
    of_table.set_defaults(answer=_table)
    of_table.add_argument("name", help="e.g. documents, or scores/<lens>")
    of_table.add_argument("--where", help="a condition in SQL, e.g. \"shard = 'crawl-00002' AND score > 3\"")
    of_table.add_argument("--head", type=int, default=10, help="so many rows (default: 10)")
    version = of_table.add_mutually_exclusive_group()
    version.add_argument("--version", type=int)
    version.add_argument("--at", type=_time, help="as it stood at this time")

    command("tables", "all tables: version, size, who wrote them last").set_defaults(answer=_tables)
    return parser


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 2026-11-21T12:30") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _history() -> DeltaHistory:
    return DeltaHistory(open_lake(profile_from_environment()))


def _view(history: DeltaHistory, given: argparse.Namespace) -> View:
    if given.release:
        return at_release(history, given.release)
    return at_time(history, given.at) if given.at else current(history)


def _why(given: argparse.Namespace) -> str:
    history, graph = _history(), load_graph(project_of(profile_from_environment()))
    view = _view(history, given)
    if given.document:
        traces = why(view, history.lake, graph, given.lens, given.document, given.shard)
    elif given.file and given.row is not None:
        traces = why_row(view, history.lake, graph, given.lens, given.file, given.row)
    else:
        raise TraceError("name the document by its id, or by --file and --row")
    if given.json:
        return json.dumps([json.loads(trace.to_json()) for trace in traces], indent=1, ensure_ascii=False)
    return "\n\n".join(trace.text() for trace in traces)


def _diff(given: argparse.Namespace) -> str:
    diff = diff_releases(_history(), given.before, given.after, given.examples)
    return diff.to_json() if given.json else diff.text()


def _table(given: argparse.Namespace) -> str:
    rows = open_table(_history(), given.name, given.version, given.at, given.where)
    frame = read_head(rows, given.head, f"table {given.name}")
    return json.dumps(frame_rows(frame), indent=1, ensure_ascii=False) if given.json else frame_text(frame)


def _tables(given: argparse.Namespace) -> str:
    frame = table_list(_history())
    return json.dumps(frame_rows(frame), indent=1) if given.json else frame_text(frame)


if __name__ == "__main__":
    sys.exit(main())
