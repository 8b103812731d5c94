"""What a cascade saves, and what it misses: real texts, a head on all-MiniLM-L6-v2, the best tenth kept.

    python -m benchmarks.scoring_cascade [--quick]

The head learns the kind of each text (encyclopedia, reference and code, README and licence, generated code) from its
vector; what it scores in the best tenth is to be kept. The cheap stage learns from 36 % of the texts and is calibrated
on 44 %, to a recall of 99 % at 95 % confidence, and every figure is of the rest, which neither has seen; five times, so
that each text is in the rest once. Times are of the processor, encoder and cascade in turns on the same texts. A recall
that the calibration is too small to promise is null (`--quick`: 2,500 texts, where one of 90 % is promised, shown as
`cascade_recall_90`).

Prints one JSON object as its last line.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.curation import kinds_and_texts
from datashop_assets.cascade_settings import CascadeSettings
from datashop_assets.classifier.head import Head
from datashop_assets.classifier.linear import fit
from datashop_assets.embedding.embed import STORED
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.scoring.cascade import CascadeError, fit_cascade, score_by_cascade
from datashop_assets.scoring.recall_bound import recall_interval
from datashop_assets.seams import Encoder
from resources.encoders import TransformerEncoder

KEPT, ROUNDS, QUICK_TEXTS, TIMED, QUICK_TIMED, SEED = 0.1, 5, 2500, 300, 60, 2026


def teacher(vectors: NDArray[np.float32], kinds: NDArray[np.int64]) -> tuple[Head, NDArray[np.float32]]:
    """A head that scores encyclopedia highest, and its scores of all texts."""
    head = fit(vectors, 3.0 - kinds, 1.0)
    return head, head.predict(vectors.astype(STORED).astype(np.float32))


def measure_cascade(
    encoder: Encoder, texts: Sequence[str], kinds: NDArray[np.int64], recall: float, timed: int
) -> dict[str, Any]:
    """Recall and share read over the divisions, and how much less processor time the cascade takes."""
    vectors = encoder.encode(texts)
    head, scores = teacher(vectors, kinds)
    lower = float(np.sort(scores)[-round(KEPT * len(texts))])
    good = scores >= np.float32(lower)
    passed_good, all_good, read, tested, ratios = 0, 0, [], 0, []
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
        saved = cpu(lambda some=some, cascade=cascade: score_by_cascade(some, cascade, encoder, head))
        ratios.append(whole / saved)
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
        "tested": tested,
        "calibration_positives": int(good.sum() * (1 - 1 / ROUNDS) * 0.55),
    }


def cpu(run: Any) -> float:
    """Processor seconds of this process."""
    begun = time.process_time()
    run()
    return time.process_time() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer texts; a recall of 90 % instead of 99 %")
    quick = parser.parse_args().quick
    kinds, texts = kinds_and_texts()
    if quick:
        kinds, texts = kinds[:QUICK_TEXTS], texts[:QUICK_TEXTS]
    encoder = TransformerEncoder(EncoderSettings(max_tokens=512))
    recall = 0.9 if quick else 0.99
    figures: dict[str, Any] = {f"cascade_{name}": None for name in ("recall", "ratio", "recall_90", "ratio_90")}
    try:
        made = measure_cascade(encoder, texts, kinds, recall, QUICK_TIMED if quick else TIMED)
        ending = "_90" if quick else ""
        figures |= {f"cascade_{name}{ending}" if name in ("recall", "ratio") else name: v for name, v in made.items()}
    except CascadeError as error:
        sys.stdout.write(f"no recall is promised: {error}\n")
    machine = f"{os.cpu_count()} x {platform.processor() or platform.machine()}"
    sys.stdout.write(json.dumps(figures | {"n": len(texts), "rounds": ROUNDS, "machine": machine}) + "\n")


if __name__ == "__main__":
    main()
