"""How well wrong ratings are found and repaired where it is known which are wrong: real texts, drawn errors.

    python -m benchmarks.curation [--quick]

The texts are the demo's sources, of four kinds: encyclopedia, Python with its reference, README with licence, generated
and minified code. The kind is the true score; a rater errs on it with a known transition matrix: a fifth or two fifths
of the labels wrong, evenly, or rather one score too high. Five draws of each. Measured: the mean absolute error of the
estimated matrix against what was drawn; the area under the ROC curve of the probability that a label is wrong; the
share of wrong labels that are repaired and of right ones that are spoilt. Beside it, on the same rows, the plain
majority of the same ten neighbours, and cleanlab (self-confidence of a logistic regression on the embeddings, in five
folds) where that package is installed: `pip install -e .[peers]`. `--quick` takes 2,000 of the texts. Three cheap
raters and a dear one on the same texts: `curation_fusion.py`.

How time and memory grow is measured on pools of 10,000 to 300,000 rows, one run each (`curation_scale.py` says what is
in them); with `--quick` of 10,000 and 60,000, and what is said of 300,000 is null.

Prints three Markdown tables and, as the last line, one JSON object.
"""

import argparse
import itertools
import json
import os
import platform
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.curation_fusion import measure_fusion
from benchmarks.curation_scale import growth, pieces, token_means
from datashop_assets.curation.correction import class_shares, correct
from datashop_assets.curation.neighbours import neighbourhood
from datashop_assets.curation.transition import consensus, fit
from datashop_assets.demo.sources import SOURCES
from datashop_assets.encoder_settings import EncoderSettings
from resources.encoders import TransformerEncoder

KINDS = {
    "encyclopedia": 0,
    "python_code": 1,
    "language_reference": 1,
    "readme": 2,
    "license": 2,
    "generated_code": 3,
    "minified_js": 3,
}
LEVELS, NEIGHBOURS, DRAWS, SEED, QUICK_TEXTS = 4, 10, 5, 2026, 2000
LEAST_CONFIDENCE = 0.5
SIZES, QUICK_SIZES = (10_000, 30_000, 100_000, 300_000), (10_000, 60_000)


def kinds_and_texts() -> tuple[NDArray[np.int64], list[str]]:
    """Every source's texts, each once, shuffled; with their kinds."""
    found = [(KINDS[name], text) for name, texts in SOURCES.items() for text in dict.fromkeys(t.text for t in texts())]
    random.Random(SEED).shuffle(found)
    return np.array([kind for kind, _ in found]), [text for _, text in found]


def transition(rate: float, even: bool) -> NDArray[np.float64]:
    """The matrix of a rater that is wrong so often, evenly or rather one or two scores too high (round the corner)."""
    kept = np.eye(LEVELS) * (1 - rate)
    if even:
        return np.asarray(kept + rate / (LEVELS - 1) * (1 - np.eye(LEVELS)))
    return np.asarray(
        kept + rate * (0.7 * np.roll(np.eye(LEVELS), 1, axis=1) + 0.3 * np.roll(np.eye(LEVELS), 2, axis=1))
    )


def rated(true: NDArray[np.int64], matrix: NDArray[np.float64], draw: int) -> NDArray[np.int64]:
    """The ratings of a rater with this matrix, in one of its draws."""
    drawn = np.random.default_rng([SEED, draw]).random(len(true))
    return (drawn[:, None] > matrix[true].cumsum(axis=1)).sum(axis=1).clip(0, LEVELS - 1)


def measure(vectors: NDArray[np.float32], texts: Sequence[str], true: NDArray[np.int64]) -> list[dict[str, Any]]:
    """One row for each rate, shape of errors and draw."""
    from sklearn.metrics import roc_auc_score

    near = neighbourhood(vectors, texts, NEIGHBOURS)
    rows = []
    for rate, even, draw in itertools.product((0.2, 0.4), (True, False), range(DRAWS)):
        given = rated(true, transition(rate, even), draw)
        real = np.array([[np.mean(given[true == k] == j) for j in range(LEVELS)] for k in range(LEVELS)])
        begun = time.perf_counter()
        shares = class_shares(given, near.group, LEVELS)
        found = fit(consensus(shares, near.nearest))
        corrected = correct([given], near.group, near.nearest, [found], LEAST_CONFIDENCE)
        seconds = time.perf_counter() - begun
        votes = shares[near.nearest].sum(axis=1)[near.group]
        wrong, own = given != true, np.arange(len(true))
        curated = corrected.curated
        rows.append(
            {
                "rate": rate,
                "even": even,
                "t_mae": float(np.abs(found.rater - real).mean()),
                "auroc": float(roc_auc_score(wrong, corrected.wrong)),
                "auroc_majority": float(roc_auc_score(wrong, -votes[own, given])),
                "auroc_cleanlab": cleanlab_auroc(vectors, given, wrong),
                "repaired": float(np.mean(curated[wrong] == true[wrong])),
                "repaired_majority": float(np.mean(votes.argmax(axis=1)[wrong] == true[wrong])),
                "spoilt": float(np.mean(curated[~wrong] != true[~wrong])),
                "spoilt_majority": float(np.mean(votes.argmax(axis=1)[~wrong] != true[~wrong])),
                "confidence": float(corrected.confidence.mean()),
                "right": float(np.mean(corrected.suggested == true)),
                "converged": found.converged,
                "seconds": seconds,
            }
        )
    return rows


def cleanlab_auroc(vectors: NDArray[np.float32], given: NDArray[np.int64], wrong: NDArray[np.bool_]) -> float | None:
    """Of cleanlab's label quality scores; None where it is not installed."""
    try:
        from cleanlab.rank import get_label_quality_scores
    except ModuleNotFoundError:
        return None
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import cross_val_predict

    model = LogisticRegression(max_iter=1000)
    probable = cross_val_predict(model, vectors, given, cv=5, method="predict_proba")
    return float(roc_auc_score(wrong, -get_label_quality_scores(given, probable, method="self_confidence")))


MEANS = (
    "t_mae",
    "auroc",
    "auroc_majority",
    "auroc_cleanlab",
    "repaired",
    "repaired_majority",
    "spoilt",
    "spoilt_majority",
    "confidence",
    "right",
)
GROWTH = ("rows", "groups", "seconds", "processor_seconds", "peak_gb", "recall", "twins_missed", "changed")


def mean(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return round(statistics.fmean(values), 4) if values else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_TEXTS:,} texts and {max(QUICK_SIZES):,} pieces")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    kinds, texts = kinds_and_texts()
    most = QUICK_TEXTS if arguments.quick else len(texts)
    harvested = time.perf_counter()
    vectors = TransformerEncoder(EncoderSettings(max_tokens=128)).encode(texts[:most])
    encoded = time.perf_counter() - harvested
    rows = measure(vectors, texts[:most], kinds[:most])
    say("| wrong | errors | " + " | ".join(MEANS) + " |\n|---|---|" + "---|" * len(MEANS))
    for rate, even in itertools.product((0.2, 0.4), (True, False)):
        mine = [row for row in rows if (row["rate"], row["even"]) == (rate, even)]
        shown = " | ".join("–" if (value := mean(mine, name)) is None else f"{value:.3f}" for name in MEANS)
        say(f"| {rate:.0%} | {'even' if even else 'upwards'} | {shown} |")
    near = neighbourhood(vectors, texts[:most], NEIGHBOURS)
    true = kinds[:most]
    fusion = measure_fusion(near, true, lambda rate, even, draw: rated(true, transition(rate, even), draw), DRAWS)
    say("\n| " + " | ".join(fusion) + " |\n|" + "---|" * len(fusion))
    say("| " + " | ".join("–" if value is None else f"{value:.3f}" for value in fusion.values()) + " |")
    grown = grow(kinds, texts, QUICK_SIZES if arguments.quick else SIZES)
    say("\n| " + " | ".join(GROWTH) + " |\n|" + "---|" * len(GROWTH))
    for row in grown:
        say("| " + " | ".join("–" if row[name] is None else f"{row[name]:,}" for name in GROWTH) + " |")
    told = {
        **accuracy(rows),
        **fusion,
        **scale(grown),
        "n": most,
        "rounds": DRAWS,
        "encoding_s": round(encoded, 1),
        "seconds": round(time.perf_counter() - begun, 1),
        "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    }
    say(f"\n{json.dumps(told)}")


def grow(kinds: NDArray[np.int64], texts: Sequence[str], sizes: Sequence[int]) -> list[dict[str, Any]]:
    """The growth of time and memory with the size of the pool; a fifth of the ratings are wrong, evenly."""
    cut = pieces(kinds, texts, KINDS["python_code"], max(sizes), SEED)
    vectors = token_means([text for _, text in cut])
    given = rated(np.array([kind for kind, _ in cut]), transition(0.2, True), 0)
    with tempfile.TemporaryDirectory() as folder:
        return growth(vectors, given, sizes, Path(folder))


def accuracy(rows: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The figures on errors found and repaired."""
    by_rate = {rate: [row for row in rows if row["rate"] == rate] for rate in (0.2, 0.4)}
    return {
        "t_mae_20": mean(by_rate[0.2], "t_mae"),
        "t_mae_40": mean(by_rate[0.4], "t_mae"),
        "t_mae_largest": round(max(row["t_mae"] for row in rows), 4),
        "auroc": mean(rows, "auroc"),
        "auroc_majority": mean(rows, "auroc_majority"),
        "auroc_cleanlab": mean(rows, "auroc_cleanlab"),
        "repaired_share": mean(rows, "repaired"),
        "repaired_share_majority": mean(rows, "repaired_majority"),
        "spoilt_share": mean(rows, "spoilt"),
        "spoilt_share_majority": mean(rows, "spoilt_majority"),
        "fit_and_correct_s": round(statistics.median(row["seconds"] for row in rows), 3),
    }


def scale(grown: Sequence[Mapping[str, Any]]) -> dict[str, float | None]:
    """The figures on time and memory: of 300,000 rows or null, and of every size that was run."""
    whole = next((row for row in grown if row["rows"] == max(SIZES)), None)
    told = {
        "seconds_300k": whole and whole["seconds"],
        "processor_seconds_300k": whole and whole["processor_seconds"],
        "peak_gb_300k": whole and whole["peak_gb"],
        "index_recall": whole and whole["recall"],
        "index_twins_missed": whole and whole["twins_missed"],
    }
    for row in grown:
        if row is not whole:
            told |= {
                f"{name}_{row['rows'] // 1000}k": row[name] for name in ("seconds", "processor_seconds", "peak_gb")
            }
            if row["recall"] is not None:
                told[f"index_recall_{row['rows'] // 1000}k"] = row["recall"]
    return told


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
