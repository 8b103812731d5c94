"""`python -m datashop_assets.rating.summarise`: the rating summary on the terminal.

What belongs here: the command's arguments and the printing. What does not: the figures (`summary.py`), the asset that
shows the same (`report_assets.py`).
"""

import argparse
import sys
from collections.abc import Sequence

import polars as pl

from datashop_assets.graph import Graph, load_graph
from datashop_assets.project import ProjectError
from datashop_assets.rating.summary import NOTHING_RATED, Summary, publish_summary, summarise
from datashop_assets.seams import PermanentError
from resources.profiles import exports_of, open_lake, profile_from_environment, project_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and print; returns the exit status, 1 with a message where it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m datashop_assets.rating.summarise", description=__doc__)
    parser.add_argument("--lens", action="append", help="may be repeated; default: every enabled score lens")
    parser.add_argument("--write", action="store_true", help="also write the CSV and JSONL files that the asset writes")
    options = parser.parse_args(arguments)
    profile = profile_from_environment()
    try:
        graph, lake = load_graph(project_of(profile)), open_lake(profile)
        for name in options.lens or graph.score_lenses:
            lens = graph.lenses[_checked(name, graph)]
            summary = summarise(lake, lens, graph.settings(name).summary)
            print(as_text(name, summary))  # noqa: T201
            if options.write:
                files = publish_summary(lake, lens, summary, exports_of(profile, "summaries"))
                print("\n".join(f"written: {file}" for file in files.values()))  # noqa: T201
    except (ValueError, OSError, PermanentError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def as_text(name: str, summary: Summary) -> str:
    """Both tables as text."""
    if summary.rated.is_empty():
        return f"{name}: {NOTHING_RATED}"
    percent = pl.col("poor", "low", "medium", "good") * 100
    classes = summary.classes.drop("lens").with_columns(percent.round(2))
    means = summary.means.drop("lens").with_columns(pl.col("mean", "low", "high").round(2))
    with pl.Config(tbl_rows=-1, tbl_cols=-1, tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True) as shown:
        shown.set_tbl_formatting("ASCII_MARKDOWN").set_tbl_width_chars(200).set_fmt_str_lengths(80)
        return f"{name}: mean scores\n{means}\n\n{name}: classes, in % of the rated documents\n{classes}\n"


def _checked(name: str, graph: Graph) -> str:
    if name not in graph.score_lenses:
        raise ProjectError(f"no enabled score lens {name!r}; there are: {', '.join(graph.score_lenses) or 'none'}")
    return name


if __name__ == "__main__":
    sys.exit(main())
