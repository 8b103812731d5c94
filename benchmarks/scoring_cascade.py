"""What a cascade saves, and what it misses: real texts, a head on all-MiniLM-L6-v2, the best tenth kept.

    python -m benchmarks.scoring_cascade [--quick]

The head learns the kind of each text (encyclopedia, reference and code, README and licence, generated code) from its
vector; what it scores in the best tenth is to be kept. The cheap stage learns from 36 % of the texts and is calibrated
on 44 %, to a recall of 99 % at 95 % confidence, and every figure is of the rest, which neither has seen; five times, so
that each text is in the rest once. Times are of the processor, encoder and cascade in turns on the same texts. A recall
that the calibration is too small to promise is null (`--quick`: 2,500 texts, where one of 90 % is promised, shown as
`cascade_recall_90`).

`cascade_int8_ratio` is the whole against the padded loop (`scoring_padded.py`) on the same texts: the cheap stage, int8
for what passes, and float32 again for what is nearer to the cut-off than the bound of int8's error, which 400 of the
texts give. `cascade_int8_same_decisions` compares what was read with the cascade in float32.

Prints one JSON object as its last line.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.curation import kinds_and_texts
from benchmarks.scoring_padded import PaddedLoop
from datashop_assets.cascade_settings import CascadeSettings
from datashop_assets.classifier.head import Head
from datashop_assets.classifier.linear import fit
from datashop_assets.embedding.embed import STORED
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.scoring.cascade import Cascade, CascadeError, fit_cascade, score_by_cascade
from datashop_assets.scoring.exact_band import decided, error_bound, near_cutoff
from datashop_assets.scoring.recall_bound import recall_interval
from datashop_assets.seams import Encoder
from resources.encoders import TransformerEncoder
from resources.encoders.local_files import encoder_folder

Made = TypeVar("Made")

KEPT, ROUNDS, QUICK_TEXTS, TIMED, QUICK_TIMED, SEED = 0.1, 5, 2500, 150, 60, 2026
BOUND_TEXTS, MAX_TOKENS = 400, 512


def teacher(vectors: NDArray[np.float32], kinds: NDArray[np.int64]) -> tuple[Head, NDArray[np.float32]]:
    """A head that scores encyclopedia highest, and its scores of all texts."""
    head = fit(vectors, 3.0 - kinds, 1.0)
    return head, head.predict(vectors.astype(STORED).astype(np.float32))


@dataclass(frozen=True)
class Encoders:
    """What is compared: the exact encoder, the same in int8, and the padded loop."""

    exact: Encoder
    int8: Encoder
    padded: PaddedLoop

    @classmethod
    def load(cls) -> "Encoders":
        import torch

        torch.set_num_threads(1)
        settings = EncoderSettings(max_tokens=MAX_TOKENS)
        exact = TransformerEncoder(settings, threads=1)
        int8 = TransformerEncoder(settings.model_copy(update={"precision": "int8"}), threads=1)
        return cls(exact, int8, PaddedLoop(str(encoder_folder(settings.model)), MAX_TOKENS))


def measure_cascade(
    encoders: Encoders, texts: Sequence[str], kinds: NDArray[np.int64], recall: float, timed: int
) -> dict[str, Any]:
    """Recall and share read over the divisions, and how much less processor time the cascade takes."""
    encoder = encoders.exact
    vectors = encoder.encode(texts)
    head, scores = teacher(vectors, kinds)
    lower = float(np.sort(scores)[-round(KEPT * len(texts))])
    good = scores >= np.float32(lower)
    passed_good, all_good, read, tested, ratios = 0, 0, [], 0, []
    together: list[float] = []
    same: list[float] = []
    error = int8_error(encoders.int8, head, texts, vectors)
    part = np.random.default_rng(SEED).permutation(np.arange(len(texts)) % ROUNDS)
    for number in range(ROUNDS):
        held = part == number
        seen, fresh = np.flatnonzero(~held), np.flatnonzero(held)
        settings = CascadeSettings(recall=recall, calibration_share=0.55, seed=number)
        known = [texts[row] for row in seen]
        cascade, _ = fit_cascade(known, known, scores[seen], lower, settings)
        division = cascade.divide([texts[row] for row in fresh])
        passed_good += int((division.passed & good[fresh]).sum())
        all_good += int(good[fresh].sum())
        read.append(float((division.passed | division.audited).mean()))
        tested += len(fresh)
        some = [texts[row] for row in fresh[:timed]]
        whole = cpu(lambda some=some: encoder.encode(some))
        saved, by_cascade = timed_cpu(lambda some=some, cascade=cascade: score_by_cascade(some, cascade, encoder, head))
        ratios.append(whole / saved)
        spent, decided_by = timed_cpu(
            lambda some=some, cascade=cascade: scored_in_int8(some, cascade, encoders, head, error)
        )
        together.append(cpu(lambda some=some: encoders.padded.encode(some)) / spent)
        was_read = by_cascade.division.passed | by_cascade.division.audited
        same.append(float(((decided_by >= lower) == (by_cascade.scores >= lower))[was_read].mean()))
    low, high = recall_interval(passed_good, all_good)
    return {
        "recall": passed_good / all_good,
        "recall_low": low,
        "recall_high": high,
        "positives": all_good,
        "read_share": statistics.median(read),
        "ratio": statistics.median(ratios),
        "ratio_low": min(ratios),
        "ratio_high": max(ratios),
        "int8_ratio": statistics.median(together),
        "int8_ratio_low": min(together),
        "int8_ratio_high": max(together),
        "int8_same_decisions": float(np.mean(same)),
        "int8_error_bound": error,
        "tested": tested,
        "timed": timed,
        "calibration_positives": int(good.sum() * (1 - 1 / ROUNDS) * 0.55),
    }


def int8_error(int8: Encoder, head: Head, texts: Sequence[str], vectors: NDArray[np.float32]) -> float:
    """The bound of int8's error in scores, from texts drawn at random."""
    rows = np.random.default_rng(SEED).choice(len(texts), BOUND_TEXTS, replace=False)
    reduced = int8.encode([texts[row] for row in rows])
    return error_bound(head.predict(vectors[rows]), head.predict(reduced)).error


def scored_in_int8(
    texts: Sequence[str], cascade: Cascade, encoders: Encoders, head: Head, error: float
) -> NDArray[np.float64]:
    """The cascade with the encoder in int8, and what is near the cut-off again in float32."""
    made = score_by_cascade(texts, cascade, encoders.int8, head)
    near = near_cutoff(made.scores, cascade.lower, error)  # filtering does not tell an estimate from a score
    exact = encoders.exact.encode([texts[row] for row in near])
    return decided(made.scores, near, head.predict(exact.astype(STORED).astype(np.float32)))


def timed_cpu(run: Callable[[], Made]) -> tuple[float, Made]:
    """Processor seconds of this process, and what was made."""
    begun = time.process_time()
    made = run()
    return time.process_time() - begun, made


def cpu(run: Callable[[], Any]) -> float:
    return timed_cpu(run)[0]


def cascade_figures(quick: bool) -> dict[str, Any]:
    """What `python -m benchmarks.scoring` says of the cascade too; null where too few texts support it."""
    kinds, texts = kinds_and_texts()
    if quick:
        kinds, texts = kinds[:QUICK_TEXTS], texts[:QUICK_TEXTS]
    told: dict[str, Any] = {
        f"cascade_{name}": None for name in ("recall", "ratio", "int8_ratio", "recall_90", "ratio_90", "int8_ratio_90")
    }
    try:
        made = measure_cascade(Encoders.load(), texts, kinds, 0.9 if quick else 0.99, QUICK_TIMED if quick else TIMED)
    except CascadeError as error:
        sys.stdout.write(f"no recall is promised: {error}\n")
        return told | {"cascade_n": len(texts)}
    promised = {"recall", "ratio", "int8_ratio"}
    named = {f"cascade_{name}{'_90' if quick and name in promised else ''}": value for name, value in made.items()}
    return told | named | {"cascade_n": len(texts)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer texts; a recall of 90 % instead of 99 %")
    quick = parser.parse_args().quick
    machine = f"{os.cpu_count()} x {platform.processor() or platform.machine()}, load {os.getloadavg()[0]:.1f}"
    figures = cascade_figures(quick)
    told = figures | {"n": figures["cascade_n"], "rounds": ROUNDS, "machine": machine}
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
