"""The modes of a prompted rater on the same real documents: can its answers be read, what do they cost, do they agree.

    nice python -m benchmarks.rating_modes [--quick] [--documents 21] [--lens educational_value]
        [--vllm-python PATH]    (also through a vLLM server that is started from that environment)

Each document is asked about once in each mode, by the demo's small model in this process with one thread and, where
asked for, behind vLLM with eight requests in flight. Processor seconds are those of this process and of the server's,
because the machine may have other work. Nothing is cached but what a server keeps of common prompt starts. Prints
Markdown tables and, as the last line, one JSON object; docs/raters.md holds the last measured tables.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import exp
from pathlib import Path
from typing import get_args

import psutil

from benchmarks.lens_parse_rate import CACHE, FEWEST, SMALL_MODEL, pages
from datashop_assets.graph import SHIPPED_LENSES
from datashop_assets.project import RaterSettings, ServerSettings
from datashop_assets.rating.agreement import agreement
from datashop_assets.rating.estimates import share
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens, Mode
from datashop_assets.rating.lens_folder import load_lenses
from datashop_assets.rating.prompted import PromptedRater
from datashop_assets.seams import ChatModel
from resources.raters.chat_transformers import TransformersChatModel
from resources.raters.vllm_server import VllmServerModel

QUICK_DOCUMENTS = 4


@dataclass(frozen=True)
class Measured:
    """One mode of one backend on all documents; `cpu_s` are processor seconds of all processes."""

    backend: str
    mode: str
    judged: Sequence[Judgement]
    wall_s: float
    cpu_s: float

    @property
    def name(self) -> str:
        return f"{self.backend}, {self.mode}"

    @property
    def decoded(self) -> float:
        return sum(judgement.output_tokens for judgement in self.judged) / len(self.judged)

    @property
    def parsed(self) -> int:
        return sum(judgement.score is not None for judgement in self.judged)


def cpu_seconds() -> float:
    """Processor seconds of this process and of all its living descendants so far."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(times.user + times.system for times in (process.cpu_times() for process in family))


def measure(backend: str, model: ChatModel, settings: RaterSettings, lens: Lens, documents: list[Document]) -> Measured:
    """Rate the documents through the lens, after one question that warms up what is compiled at first use."""
    rater = PromptedRater(model, settings)
    list(rater.rate(lens, documents[:1]))
    wall, cpu = time.perf_counter(), cpu_seconds()
    judged = list(rater.rate(lens, documents[1:]))
    return Measured(backend, lens.mode, judged, time.perf_counter() - wall, cpu_seconds() - cpu)


def of_any_mass(measured: Measured, lens: Lens) -> Measured:
    """Expected scores also where the levels together have little probability, where no rating would be recorded."""
    judged = []
    for judgement in measured.judged:
        logprobs = json.loads(judgement.raw or "{}").get("level_logprobs") or {}
        weights = {int(level): exp(value) for level, value in logprobs.items()}
        mean = sum(level * weight for level, weight in weights.items()) / (sum(weights.values()) or 1.0)
        judged.append(replace(judgement, score=lens.clip(mean), reason=None) if weights else judgement)
    return replace(measured, mode="expected_score of any mass", judged=judged)


def masses(measured: Measured) -> list[float]:
    """The probability of all levels together, by document."""
    raws = [json.loads(judgement.raw or "{}").get("level_logprobs") or {} for judgement in measured.judged]
    return [sum(exp(value) for value in logprobs.values()) for logprobs in raws]


def costs(measured: Sequence[Measured]) -> list[str]:
    """A line of the first table for each measurement."""
    lines = [
        "| backend, mode | answers read [95 %] | tokens read | tokens decoded | CPU s a document | wall s | failures |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in measured:
        n = len(each.judged)
        read = share(each.parsed, n)
        reasons = Counter(judgement.reason for judgement in each.judged if judgement.reason)
        failures = ", ".join(f"{reason} {times}" for reason, times in sorted(reasons.items())) or "–"
        tokens = sum(judgement.input_tokens for judgement in each.judged) / n
        lines.append(
            f"| {each.name} | {each.parsed} of {n} [{read.low:.2f}, {read.high:.2f}] | {tokens:.0f} | "
            f"{each.decoded:.1f} | {each.cpu_s / n:.2f} | {each.wall_s / n:.2f} | {failures} |"
        )
    return lines


def agreements(measured: Sequence[Measured], lens: Lens) -> tuple[list[str], dict[str, float | None]]:
    """The second table, and `exact` by pair: of the documents that both scored."""
    lines = ["| pair | n | same level [95 %] | within one | Pearson |", "|---|---|---|---|---|"]
    exact: dict[str, float | None] = {}
    for one, other in combinations(measured, 2):
        if one.backend != other.backend and one.mode != other.mode:
            continue
        pairs = [
            (a.score, b.score)
            for a, b in zip(one.judged, other.judged, strict=True)
            if a.score is not None and b.score is not None
        ]
        found = agreement([a for a, _ in pairs], [b for _, b in pairs], lens.low, lens.high)
        cells = ["–" if (e := found[m]) is None else f"{e.value:.2f} [{e.low:.2f}, {e.high:.2f}]" for m in SHOWN]
        lines.append(f"| {one.name} / {other.name} | {len(pairs)} | {' | '.join(cells)} |")
        same = found["exact"]
        exact[f"exact {one.name} / {other.name}"] = (
            round(same.value, 3) if same is not None and len(pairs) >= FEWEST else None
        )
    return lines, exact


SHOWN = ("exact", "within_one", "pearson")


def run(models: Mapping[str, ChatModel], settings: RaterSettings, lens: Lens, documents: list[Document]) -> None:
    """Measure every backend in every mode and print the tables and the JSON line."""
    begun = time.perf_counter()
    measured = []
    for backend, model in models.items():
        model.start()
        for mode in get_args(Mode):
            # Begun otherwise in each mode, lest a server have a document's prompt in its cache from the mode before.
            asked = replace(lens, mode=mode, system=f"[{mode}] {lens.system}")
            measured.append(measure(backend, model, settings, asked, documents))
            sys.stderr.write(f"{costs(measured[-1:])[-1]}\n")
    expected = [each for each in measured if each.mode == "expected_score"]
    compared = [*measured, *(of_any_mass(each, lens) for each in expected)]
    lines, exact = agreements(compared, lens)
    levels = [
        f"{each.name}: {dict(sorted(Counter(round(j.score) for j in each.judged if j.score is not None).items()))}"
        for each in compared
    ]
    shown = [f"{each.name}: {min(masses(each)):.2f} to {max(masses(each)):.2f}" for each in expected]
    say("\n".join([*costs(measured), "", *lines, "", "Documents by level:", *levels, ""]))
    say("\n".join(["Probability of all levels together:", *shown, ""]))
    n = len(documents) - 1
    enough = n >= FEWEST
    figures: dict[str, float | str | None] = {
        **{f"parsed {m.name}": round(m.parsed / n, 3) if enough else None for m in measured},
        **{f"decoded_tokens_per_rating {m.name}": round(m.decoded, 1) if enough else None for m in measured},
        **{f"cpu_s_per_rating {m.name}": round(m.cpu_s / n, 3) if enough else None for m in measured},
        **exact,
        "n": n,
        "rounds": 1,
        "attempts": settings.attempts,
        "max_tokens": settings.max_tokens,
        "lens": lens.name,
        "seconds": round(time.perf_counter() - begun, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    say(json.dumps(figures))


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    lenses = load_lenses([SHIPPED_LENSES]).lenses
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=21)
    parser.add_argument("--max-tokens", type=int, default=300)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_DOCUMENTS} documents, short answers")
    parser.add_argument("--lens", choices=sorted(lenses), default="educational_value")
    parser.add_argument("--vllm-python")
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    count, longest = (QUICK_DOCUMENTS, 60) if arguments.quick else (arguments.documents, arguments.max_tokens)
    settings = RaterSettings(
        backend="transformers", model=SMALL_MODEL, threads=1, attempts=1, max_tokens=longest, timeout_s=600
    )
    models: dict[str, ChatModel] = {}
    with tempfile.TemporaryDirectory() as logs:
        if arguments.vllm_python:
            server = ServerSettings(python=arguments.vllm_python)
            served = RaterSettings.model_validate(
                settings.model_dump() | {"backend": "vllm", "server": server, "threads": None}
            )
            models["vLLM"] = VllmServerModel(served, arguments.cache, Path(logs))
        models["in process"] = TransformersChatModel(settings, arguments.cache)
        run(models, settings, lenses[arguments.lens], pages(count + 1))


if __name__ == "__main__":
    main()
