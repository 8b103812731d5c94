"""`python -m datashop_assets.rating.interchange import|export`: ratings into and out of the project's lake.

What belongs here: the command's arguments and words. What does not: importing (`imports.py`), exporting (`exports.py`),
which a notebook can call as well.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock

from datashop_assets.graph import load_graph
from datashop_assets.project import ProjectError
from datashop_assets.rating.exports import export_ratings
from datashop_assets.rating.imported_answers import AnswerColumns
from datashop_assets.rating.imports import ImportReport, Origin, import_ratings
from datashop_assets.rating.lens import Lens
from datashop_assets.seams import Lake, PermanentError
from resources.profiles import Profile, open_lake, profile_from_environment, project_of

# Rows without a document that are printed; --unmatched writes all.
SHOWN = 20


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and do it; returns the exit status, 1 with a message where it cannot be done."""
    options = _parser().parse_args(arguments)
    profile = profile_from_environment()
    try:
        lens, lake = enabled_lens(profile, options.lens), open_lake(profile)
        if options.action == "import":
            _import(profile, lake, lens, options)
        else:
            _export(lake, lens, options)
    except (ValueError, OSError, PermanentError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def enabled_lens(profile: Profile, name: str) -> Lens:
    """A lens of the project, as the project asks for it. Raises ProjectError naming the enabled ones."""
    lenses = load_graph(project_of(profile)).lenses
    if name not in lenses:
        raise ProjectError(f"{profile.project_file} enables no lens {name!r}; it enables {', '.join(lenses)}")
    return lenses[name]


def _import(profile: Profile, lake: Lake, lens: Lens, options: argparse.Namespace) -> None:
    origin = Origin(
        rater=options.rater,
        rater_column=options.rater_column,
        scale=tuple(options.scale) if options.scale else None,
        by=options.by,
        id_column=options.id_column,
        text_column=options.text_column,
        columns=AnswerColumns(options.score_column, options.rationale_column),
    )
    files = [str(file) for file in options.files]
    lineage = {"asset": "annotations", "run_id": "import", "files": files}
    profile.home.mkdir(parents=True, exist_ok=True)
    # Two imports of one rater read and replace the same cells.
    with FileLock(profile.home / "import.lock"):
        report = import_ratings(lake, lens, options.files, origin, lineage)
    print(f"{lens.name}: {report}")  # noqa: T201
    for line in unmatched_lines(report):
        print(line)  # noqa: T201
    if options.unmatched:
        report.unmatched.write_ndjson(options.unmatched)


def unmatched_lines(report: ImportReport) -> list[str]:
    """The first rows without a document, for people."""
    rows = report.unmatched.head(SHOWN).iter_rows()
    more = report.unmatched.height - SHOWN
    return [f"  {place}: {key}: {why}" for place, key, why in rows] + ([f"  and {more} more"] if more > 0 else [])


def _export(lake: Lake, lens: Lens, options: argparse.Namespace) -> None:
    count = export_ratings(
        lake,
        lens,
        options.file,
        raters=options.rater or None,
        every_version=options.every_version,
        with_text=options.text,
    )
    print(f"{lens.name}: {count} ratings in {options.file}")  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m datashop_assets.rating.interchange", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)

    bring = actions.add_parser("import", help="ratings made elsewhere become annotations")
    bring.add_argument("files", nargs="+", type=Path, help=".jsonl, .json (a list, or a mapping from ids) or .parquet")
    bring.add_argument("--lens", required=True)
    who = bring.add_mutually_exclusive_group(required=True)
    who.add_argument("--rater", help="the rater's name; its annotations stand under imported-NAME")
    who.add_argument("--rater-column", help="the column that holds each row's rater")
    bring.add_argument(
        "--scale",
        nargs=2,
        type=float,
        metavar=("WORST", "BEST"),
        help="their scale, mapped onto the lens's linearly; without it they are on the lens's",
    )
    bring.add_argument("--by", choices=("id", "text"), default="id", help="how rows match documents (default: id)")
    bring.add_argument("--id-column", default="id")
    bring.add_argument("--text-column", default="text")
    bring.add_argument("--score-column", default="score")
    bring.add_argument("--rationale-column", default="rationale")
    bring.add_argument("--unmatched", type=Path, metavar="FILE", help="write the rows without a document here (JSONL)")

    take = actions.add_parser("export", help="a lens's annotations, failed ones included, to a file")
    take.add_argument("file", type=Path, help=".jsonl or .parquet")
    take.add_argument("--lens", required=True)
    take.add_argument("--rater", action="append", help="only of this rater id (may be repeated)")
    take.add_argument("--text", action="store_true", help="with the documents' texts")
    take.add_argument("--every-version", action="store_true", help="through earlier versions of the lens too")
    return parser


if __name__ == "__main__":
    sys.exit(main())
