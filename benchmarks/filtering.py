"""Filtering and releasing against what others do, in one run on the same rows: processor time, wall time and memory.

    python -m benchmarks.filtering [--quick] [--rounds N] [--dolma-python PATH] [--folder PATH]

The rows are real texts (`benchmarks.filtering_data`): a million of 2.4 kB, of which 8 % are kept; with `--quick` a
hundred thousand. Each way runs as a whole process, imports and all, in a folder of its own that is deleted afterwards;
its seconds of the processor are its own and its children's, its memory the most that one of its processes had. The ways
take turns in a round, so that other work on the machine meets them alike; ratios are medians over rounds.

- `datasets.filter` four ways (function of a row in one process and in two, batches of the one column, Arrow tables);
  the one that takes least of the processor in a first round is the peer of all later ones. It reads and writes parquet.
- `datasets` asked for a keep-list as ours is one: ids and scores are read, ids are written, and no text.
- the libraries that ours imports (polars, deltalake, numpy, pydantic), imported and nothing else: what no process that
  has them can be below, and so the ratio that none can be above.
- `pyarrow`'s dataset scanner, and `datatrove`'s pipeline (`pip install datatrove==0.10.1`), the same files.
- `dolma`'s mixer on its own layout (jsonl.gz); its pinned dependencies need an environment of their own:
  `--dolma-python`, else its figures are null.
- ours: the keep-list (`filtered_documents` made anew from the score table: nothing of the text is read), the release of
  the kept text as parquet, and the commit of another classifier's scores, against rewriting text and score (polars).

Each peer is a script of its own in `benchmarks/filtering_peers/`. Growth: one measurement at each of three sizes.
Prints a Markdown table and, as the last line, one JSON object. A ratio says how many times more the peer takes.
This module imports nothing but the standard library: a process that starts others is part of what they are measured by.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

ROWS, QUICK_ROWS = 1_000_000, 100_000
GROWTH = (100_000, 300_000, 1_000_000)
ROUNDS = 5
PEERS = Path(__file__).parent / "filtering_peers"
DATASETS = ("rows", "rows2", "columns", "arrow")
LIBRARIES = "import json, deltalake, numpy, polars, pydantic; print(json.dumps({'kept': 0}))"
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONDONTWRITEBYTECODE": "",  # a module is compiled once, as where it is installed, and not in every process
}

Figures = dict[str, float]


def measured(command: Sequence[str], folder: Path) -> Figures | None:
    """cpu and wall in seconds and peak in GB of a command that gets an empty folder; None where it fails.

    `work` is cpu without the imports, of a command that tells them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | ENVIRONMENT)
    assert process.stdout is not None
    said = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = perf_counter() - begun
    shutil.rmtree(folder, ignore_errors=True)
    if process.returncode:
        return None
    told = json.loads(said.strip().splitlines()[-1])
    cpu = used.ru_utime + used.ru_stime
    work = cpu - told.get("imports", 0.0)
    return {"cpu": cpu, "work": work, "wall": wall, "peak": used.ru_maxrss / 1e6, "kept": told["kept"]}


def commands(data: Path, bound: float, out: Path, dolma: str | None) -> dict[str, list[str]]:
    """Every way by its name; ours get another bound at each call, see `ours`."""
    python, wide = sys.executable, str(data / "wide")

    def peer(script: str, *arguments: str) -> list[str]:
        return [python, str(PEERS / script), *arguments]

    found = {f"datasets {way}": peer("datasets_filter.py", way, wide, str(bound), str(out)) for way in DATASETS}
    found["list of ids, datasets"] = peer("datasets_filter.py", "ids", wide, str(bound), str(out))
    found["pyarrow"] = peer("pyarrow_filter.py", wide, str(bound), str(out))
    found["datatrove"] = peer("datatrove_filter.py", wide, str(bound), str(out))
    found["libraries alone"] = [python, "-c", LIBRARIES]
    found["rewrite"] = peer("polars_rewrite.py", wide, str(bound), str(out))
    if dolma:
        found["dolma"] = [dolma, str(PEERS / "dolma_mix.py"), str(data / "jsonl"), str(bound), str(out)]
    return found


def ours(what: str, data: Path, bound: float, out: Path) -> list[str]:
    return [sys.executable, "-m", "benchmarks.filtering_ours", what, str(data), str(bound), str(out)]


def build(rows: int, folder: Path, jsonl: bool) -> dict[str, Any]:
    """Write the corpus; its facts."""
    command = [sys.executable, "-m", "benchmarks.filtering_data", str(rows), str(folder)]
    subprocess.run([*command, "--jsonl"] if jsonl else command, check=True)
    facts: dict[str, Any] = json.loads((folder / "facts.json").read_text())
    return facts


def measure(data: Path, facts: Mapping[str, Any], rounds: int, dolma: str | None) -> dict[str, list[Figures]]:
    """The figures of every way, round by round; ways that fail are left out."""
    out, bound = data / "out", facts["bound"]
    ways = commands(data, bound, out, dolma)
    first = {name: measured(command, out) for name, command in ways.items()}
    tried = {name: figures for name, figures in first.items() if name.startswith("datasets") and figures}
    if failed := [name for name, figures in first.items() if figures is None]:
        sys.stdout.write(f"not measured, because they failed (run them alone to see why): {', '.join(failed)}\n")
    best = min(tried, key=lambda name: tried[name]["cpu"])
    later = [name for name, figures in first.items() if figures and (name not in tried or name == best)]
    told: dict[str, list[Figures]] = {name: [figures] for name, figures in tried.items() if name != best}
    told |= {name: [] for name in (*later, "keeplist", "release", "scores")}
    for number in range(rounds):
        # A bound of its own, by less than a score's last digit: else the tables would be up to date and nothing done.
        turn = bound + (number + 1) * 1e-9
        todo = {name: ways[name] for name in later}
        todo |= {what: ours(what, data, turn, out) for what in ("keeplist", "release", "scores")}
        for name, command in todo.items():
            figures = measured(command, out)
            if figures is None:
                raise RuntimeError(f"failed: {' '.join(command)}")
            if name not in ("rewrite", "scores", "libraries alone") and figures["kept"] != facts["kept"]:
                raise RuntimeError(f"{name} kept {figures['kept']} documents, not {facts['kept']}: it did other work")
            told[name].append(figures)
    told["datasets"] = told[best]
    return told


def ratio(peer: Sequence[Figures] | None, own: Sequence[Figures], figure: str) -> float | None:
    """How many times more the peer takes: the median over paired rounds; null with fewer than five, or without peer."""
    if peer is None:
        return None
    pairs = [theirs[figure] / mine[figure] for theirs, mine in zip(peer, own, strict=True)]
    return round(statistics.median(pairs), 2) if len(pairs) >= ROUNDS else None


def median(figures: Sequence[Figures], figure: str) -> float:
    return round(statistics.median(each[figure] for each in figures), 3)


def growth(sizes: Sequence[int], folder: Path, best: str) -> list[dict[str, float]]:
    """One measurement of each at each size."""
    rows = []
    for size in sizes:
        data = folder / f"rows-{size}"
        facts = build(size, data, jsonl=False)
        out, bound = data / "out", facts["bound"]
        todo = {"datasets": commands(data, bound, out, None)[best]}
        todo |= {what: ours(what, data, bound, out) for what in ("keeplist", "release")}
        found: dict[str, float] = {"rows": size}
        for name, command in todo.items():
            figures = measured(command, out) or {}
            found |= {f"{name} {figure}": round(figures.get(figure, float("nan")), 3) for figure in ("cpu", "peak")}
        rows.append(found)
        shutil.rmtree(data)
    return rows


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a hundred thousand rows, no growth, without dolma")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--dolma-python", help="the interpreter of an environment with dolma==1.2.1")
    parser.add_argument("--folder", type=Path, help="where the rows are written and deleted; default: a temporary one")
    asked = parser.parse_args()
    rows = QUICK_ROWS if asked.quick else ROWS
    dolma = None if asked.quick else asked.dolma_python
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        facts = build(rows, folder / "rows", jsonl=bool(dolma))
        told = measure(folder / "rows", facts, asked.rounds, dolma)
        best = next(way for way in told if way.startswith("datasets ") and told[way] is told["datasets"])
        shutil.rmtree(folder / "rows")
        grown = [] if asked.quick else growth(GROWTH, folder, best)
    say(f"{rows:,} rows, {facts['text_bytes'] / 1e9:.2f} GB of text, {facts['kept']:,} kept; {asked.rounds} rounds\n")
    say("| way | cpu s | wall s | peak GB | n |\n|---|---|---|---|---|")
    for way, figures in told.items():
        if way != "datasets":
            cells = " | ".join(f"{median(figures, figure):.3f}" for figure in ("cpu", "wall", "peak"))
            say(f"| {way}{' (the peer)' if way == best else ''} | {cells} | {len(figures)} |")
    if grown:
        say("\n| " + " | ".join(grown[0]) + " |\n|" + "---|" * len(grown[0]))
        for row in grown:
            say("| " + " | ".join(f"{value:,}" for value in row.values()) + " |")
    peer = told["datasets"]
    summary: dict[str, Any] = {
        "keeplist_cpu_ratio": ratio(peer, told["keeplist"], "cpu"),
        # A run works on up to 256 cells in one process: what both take beside their imports.
        "keeplist_cpu_ratio_without_imports": ratio(peer, told["keeplist"], "work"),
        "keeplist_memory_ratio": ratio(peer, told["keeplist"], "peak"),
        "keeplist_wall_ratio": ratio(peer, told["keeplist"], "wall"),
        # Against the same job: `datasets` too neither reads nor writes text.
        "keeplist_cpu_ratio_same_job": ratio(told.get("list of ids, datasets"), told["keeplist"], "cpu"),
        "keeplist_memory_ratio_same_job": ratio(told.get("list of ids, datasets"), told["keeplist"], "peak"),
        # What a process reaches that only imports: no keep-list made with these libraries can be above it.
        "keeplist_cpu_ratio_libraries_alone": ratio(peer, told["libraries alone"], "cpu"),
        "keeplist_memory_ratio_libraries_alone": ratio(peer, told["libraries alone"], "peak"),
        "release_cpu_ratio": ratio(peer, told["release"], "cpu"),
        "release_wall_ratio": ratio(peer, told["release"], "wall"),
        "release_peak_gb": round(max(each["peak"] for each in told["release"]), 3),
        "rescore_commit_ratio": ratio(told["rewrite"], told["scores"], "cpu"),
        "release_cpu_ratio_pyarrow": ratio(told["pyarrow"], told["release"], "cpu"),
        "release_cpu_ratio_datatrove": ratio(told.get("datatrove"), told["release"], "cpu"),
        "release_cpu_ratio_dolma": ratio(told.get("dolma"), told["release"], "cpu"),
        "peer": best,
        "n": rows,
        "rounds": asked.rounds,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
    }
    say(f"\n{json.dumps(summary)}")


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
