"""How fast documents are scored, beside the padded loop that published scoring scripts have and sentence-transformers.

    python -m benchmarks.scoring [--quick] [--device cuda]

Real documents (`scoring_texts.py`), all-MiniLM-L6-v2, 512 tokens at most, on the same machine in one process: a round
runs every encoder once on the same documents, and a ratio is the median of the rounds' ratios. Processor seconds on one
thread, from texts to unit vectors, so that other work on the machine does not decide; `exact_wall_ratio` is wall time
on two cores. The peers are scripts of their own that run alone: `scoring_padded.py` and
`scoring_sentence_transformers.py`, and ours is `scoring_ours.py`.

int8: a ridge head and the error bound are learnt on documents of their own, the cut-off keeps the best tenth; documents
nearer to the cut-off than the bound are encoded again exactly, and their time counts. Kept vectors: `scoring_kept.py`.
The cascade before the encoder, alone and with int8, on texts of its own: `scoring_cascade.py`.
Growth: `scoring_ours.py` alone on 1,000 to 10,000 documents cut at 64 tokens. `--quick` has fewer documents, and what
they do not support is null. On a GPU: `scoring_cuda.py`.

Prints what each encoder was set to, a Markdown table and, as the last line, one JSON object.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks import scoring_cuda
from benchmarks.scoring_alone import MAX_TOKENS, Alone
from benchmarks.scoring_cascade import cascade_figures
from benchmarks.scoring_kept import commit_ratios, head_seconds, median_of
from benchmarks.scoring_ours import Ours
from benchmarks.scoring_padded import PaddedLoop
from benchmarks.scoring_sentence_transformers import SentenceTransformers
from benchmarks.scoring_texts import documents, pages
from datashop_assets.classifier.head import Head
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.scoring.exact_band import decided, error_bound, near_cutoff
from resources.encoders.figures import matmul_peak
from resources.encoders.linears import linear
from resources.encoders.local_files import encoder_folder
from resources.encoders.tokens import Tokens

ROUNDS, WALL_THREADS, KEPT_SHARE, RIDGE = 5, 2, 0.1, 1.0
SIZES = {
    # documents in a round, in one on two cores, to learn head and bound from; rows re-scored and committed; growth
    True: {"round": 32, "wall": 32, "learn": 128, "rows": 100_000, "growth": (1_000,)},
    False: {"round": 128, "wall": 128, "learn": 400, "rows": 500_000, "growth": (1_000, 10_000)},
}
# Distinct texts of what is written again with its scores: of 32, turned, the compressor finds whole texts again and the
# peer has a third of the work (17 instead of 43 times ours, 300,000 rows).
REWRITTEN = 2_000
# A recall of 99 % needs more texts to be promised on than five minutes encode; a smaller promise:
# `python -m benchmarks.scoring_cascade --quick`.
NO_CASCADE = dict.fromkeys(("cascade_ratio", "cascade_recall", "cascade_int8_ratio"))
Rounds = Mapping[str, Sequence[float]]
Made = TypeVar("Made")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer documents; at most five minutes")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    asked = parser.parse_args()
    begun = time.perf_counter()
    folder = encoder_folder(EncoderSettings().model)
    told = (
        scoring_cuda.measure(folder, asked.quick) if asked.device == "cuda" else on_processors(str(folder), asked.quick)
    )
    told |= {
        "seconds": round(time.perf_counter() - begun, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {capability()}",
    }
    say(json.dumps(told))


def on_processors(folder: str, quick: bool) -> dict[str, Any]:
    """All figures but those of a GPU."""
    import torch

    torch.set_num_threads(1)
    size: Any = SIZES[quick]
    texts = documents(size["round"] + size["learn"])
    learn, texts = texts[size["round"] :], texts[: size["round"]]
    encoders: dict[str, Alone] = {
        "padded": PaddedLoop(folder, MAX_TOKENS),
        "sentence_transformers": SentenceTransformers(folder, MAX_TOKENS),
        "exact": Ours(folder, MAX_TOKENS),
        "cls": Ours(folder, MAX_TOKENS, "cls"),
        "int8": Ours(folder, MAX_TOKENS, precision="int8"),
    }
    for encoder in encoders.values():
        encoder.use_threads(1)
        encoder.encode(learn[:16])
    for name, encoder in encoders.items():
        say(f"{name}: {encoder.settings}")
    head, cutoff, error = learnt(encoders, learn)
    seconds, last, shares = rounds_of(encoders, texts, head, cutoff, error)
    told = exact_figures(seconds, last, head) | int8_figures(seconds, last, head, cutoff, error)
    told |= {
        "exact_share_of_peak": median_of([share["of_fastest"] for share in shares], 3),
        "exact_share_of_torch_matmul": median_of([share["of_torch"] for share in shares], 3),
        **wall_figures(encoders, texts[: size["wall"]]),
        **tokenizer_figures(folder),
        **kept_figures(last["exact"], head, size["rows"], statistics.median(seconds["exact"]) / len(texts)),
        **growth_figures(size["growth"]),
        **(NO_CASCADE if quick else cascade_figures(quick)),
        "n": len(texts),
        "rounds": ROUNDS,
        "tokens": int(shares[0]["tokens"]),
    }
    return told


def rounds_of(
    encoders: Mapping[str, Alone], texts: Sequence[str], head: Head, cutoff: float, error: float
) -> tuple[Rounds, Mapping[str, NDArray[np.float32]], list[dict[str, float]]]:
    """Processor seconds of every encoder by round, the vectors of the last, and what the exact one computed."""
    peaks = {"of_fastest": matmul_peak("cpu", "float32"), "of_torch": torch_peak()}
    seconds: dict[str, list[float]] = {name: [] for name in (*encoders, "band")}
    vectors: dict[str, NDArray[np.float32]] = {}
    shares = []
    exact: Any = encoders["exact"]
    for number in range(ROUNDS):
        # Every other round in reverse: what warms up or slows down does not favour one of them.
        for name in list(encoders)[:: 1 if number % 2 else -1]:
            before = exact.encoder.usage
            spent, vectors[name] = timed(lambda name=name: encoders[name].encode(texts))
            seconds[name].append(spent)
            if name == "exact":
                done = exact.encoder.usage - before
                share = {what: done.flops / spent / peak for what, peak in peaks.items()}
                shares.append(share | {"tokens": float(done.tokens)})
        band = near_cutoff(head.predict(vectors["int8"]), cutoff, error)
        seconds["band"].append(timed(lambda band=band: encoders["exact"].encode([texts[row] for row in band]))[0])
    return seconds, vectors, shares


def learnt(encoders: Mapping[str, Alone], texts: Sequence[str]) -> tuple[Head, float, float]:
    """A ridge head, its cut-off and int8's error bound, from documents that are not measured.

    Its target is the share of letters, which a head can learn from any text without a rater; 0 to 5 as scores are.
    """
    exact = encoders["exact"].encode(texts)
    target = 5 * np.array([sum(map(str.isalpha, text)) / len(text) for text in texts])
    centred = exact - exact.mean(0)
    weights = np.linalg.solve(
        centred.T @ centred + RIDGE * np.eye(exact.shape[1]), centred.T @ (target - target.mean())
    )
    head = Head(weights.astype(np.float32), float(target.mean() - exact.mean(0) @ weights))
    scores = head.predict(exact)
    bound = error_bound(scores, head.predict(encoders["int8"].encode(texts)))
    return head, float(np.quantile(scores, 1 - KEPT_SHARE)), bound.error


def exact_figures(seconds: Rounds, last: Mapping[str, NDArray[np.float32]], head: Head) -> dict[str, Any]:
    """Speed and agreement of float32."""
    say("| | CPU s a round | x padded | range |\n|---|---|---|---|")
    for name in ("padded", "sentence_transformers", "exact", "cls", "int8"):
        of = ratios(seconds, name)
        say(f"| {name} | {median_of(seconds[name])} | {median_of(of)} | {min(of):.2f}-{max(of):.2f} |")
    exact, cls = ratios(seconds, "exact"), ratios(seconds, "cls")
    return {
        "exact_ratio": median_of(exact),
        "exact_ratio_range": [round(min(exact), 2), round(max(exact), 2)],
        "cls_ratio": median_of(cls),
        "exact_ratio_to_sentence_transformers": median_of(
            [b / a for a, b in zip(seconds["exact"], seconds["sentence_transformers"], strict=True)]
        ),
        "exact_max_abs_diff": float(np.abs(last["exact"] - last["padded"]).max()),
        "exact_spearman": spearman(head.predict(last["exact"]), head.predict(last["padded"])),
        "documents_per_cpu_s": round(len(last["exact"]) / statistics.median(seconds["exact"]), 1),
    }


def int8_figures(
    seconds: Rounds, last: Mapping[str, NDArray[np.float32]], head: Head, cutoff: float, error: float
) -> dict[str, Any]:
    """Speed of int8 with the band near the cut-off encoded again, and whether the decisions are float32's."""
    exact, reduced = head.predict(last["exact"]), head.predict(last["int8"])
    band = near_cutoff(reduced, cutoff, error)
    whole = [
        padded / (int8 + again)
        for padded, int8, again in zip(seconds["padded"], seconds["int8"], seconds["band"], strict=True)
    ]
    same = (decided(reduced, band, exact[band]) >= cutoff) == (exact >= cutoff)
    return {
        "int8_ratio": median_of(whole),
        "int8_ratio_range": [round(min(whole), 2), round(max(whole), 2)],
        "int8_ratio_without_band": median_of(ratios(seconds, "int8")),
        "int8_same_decisions": float(same.mean()),
        "int8_same_decisions_without_band": float(((reduced >= cutoff) == (exact >= cutoff)).mean()),
        "int8_band_share": round(len(band) / len(exact), 3),
        "int8_error_bound": round(error, 4),
        "int8_largest_error": round(float(np.abs(reduced - exact).max()), 4),
        "int8_spearman": spearman(reduced, exact),
    }


def wall_figures(encoders: Mapping[str, Alone], texts: Sequence[str]) -> dict[str, Any]:
    """End to end on two cores, wall time: the exact encoder against the padded loop."""
    pair = {name: encoders[name] for name in ("padded", "exact")}
    found = []
    for _ in range(ROUNDS):
        wall = {}
        for name, encoder in pair.items():
            encoder.use_threads(WALL_THREADS)
            begun = time.perf_counter()
            encoder.encode(texts)
            wall[name] = time.perf_counter() - begun
        found.append(wall["padded"] / wall["exact"])
    for encoder in pair.values():
        encoder.use_threads(1)
    return {
        "exact_wall_ratio": median_of(found),
        "exact_wall_ratio_range": [round(min(found), 2), round(max(found), 2)],
    }


def tokenizer_figures(folder: str) -> dict[str, Any]:
    """The tokenizer's own call over ours, on texts of 2 and 20 kB, and whether every id is the same."""
    from transformers import AutoTokenizer

    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    plain: Any = AutoTokenizer.from_pretrained(folder)
    ours, found, same = Tokens(plain, MAX_TOKENS), {}, True
    for name, chars, count in (("2kb", 2_000, 100), ("20kb", 20_000, 40)):
        texts, each = pages(count, chars), []
        for _ in range(ROUNDS):
            theirs, ids = timed(lambda texts=texts: plain(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"])
            mine, got = timed(lambda texts=texts: ours(texts))
            each.append(theirs / mine)
            same = same and ids == got
        found[f"tokenizer_ratio_{name}"] = median_of(each)
    return {"tokenizer_ratio": found["tokenizer_ratio_2kb"], **found, "tokenizer_same_ids": same}


def kept_figures(vectors: NDArray[np.float32], head: Head, rows: int, encoding: float) -> dict[str, Any]:
    """A new head over kept vectors against encoding (seconds a document), and the commit of its scores."""
    return {
        "rehead_ratio": round(encoding / statistics.median(head_seconds(vectors, head, rows, ROUNDS))),
        "rescore_commit_ratio": median_of(commit_ratios(documents(REWRITTEN), rows, ROUNDS), 1),
        "rescored_rows": rows,
    }


def growth_figures(sizes: Sequence[int]) -> dict[str, Any]:
    """Seconds and peak memory of a whole process by number of documents."""
    found = {}
    for size in sizes:
        command = [sys.executable, "-m", "benchmarks.scoring_ours", "--documents", str(size), "--max-tokens", "64"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[size] = json.loads(done.stdout.splitlines()[-1])
    small, large = found[1_000], found.get(10_000)
    return {
        "peak_gb_1k": small["peak_gb"],
        "peak_gb_10k": large and large["peak_gb"],
        "growth_cpu_1k_to_10k": large and round(large["cpu_s"] / small["cpu_s"], 2),
    }


def torch_peak() -> float:
    """FLOP/s of torch's own float32 product, which is what a script without this encoder has."""
    import torch

    size = 2048
    layer, rows = linear("torch", torch.randn(size, size), torch.zeros(size)), torch.randn(size, size)
    with torch.inference_mode():
        return 2.0 * size**3 / min(timed(lambda: layer(rows))[0] for _ in range(4))


def ratios(seconds: Rounds, name: str) -> list[float]:
    return [padded / mine for padded, mine in zip(seconds["padded"], seconds[name], strict=True)]


def spearman(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    from scipy.stats import spearmanr

    return round(float(spearmanr(one, other).statistic), 6)


def timed(work: Callable[[], Made]) -> tuple[float, Made]:
    """Processor seconds, and what was made."""
    begun = time.process_time()
    made = work()
    return time.process_time() - begun, made


def capability() -> str:
    import torch

    return f"{torch.backends.cpu.get_cpu_capability()}, load {os.getloadavg()[0]:.1f}"


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
