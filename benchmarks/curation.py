"""How well wrong ratings are found and repaired where it is known which are wrong: real texts, drawn errors.

    python -m benchmarks.curation [--quick]

The texts are the demo's sources, of four kinds: encyclopedia, Python with its reference, README with licence, generated
and minified code. The kind is the true score; a rater errs on it with a known transition matrix: a fifth or two fifths
of the labels wrong, evenly, or rather one score too high. Five draws of each. Measured: the mean absolute error of the
estimated matrix against what was drawn; the area under the ROC curve of the probability that a label is wrong; the
share of wrong labels that are repaired and of right ones that are spoilt. Beside it, on the same rows, the plain
majority of the same ten neighbours, and cleanlab (self-confidence of a logistic regression on the embeddings, in five
folds) where that package is installed: `pip install cleanlab`. `--quick` takes 2,000 of the texts.

Prints a Markdown table and, as the last line, one JSON object. Figures without a bound on the pool's size (a search of
300,000 rows, an approximate index) are null: the search is exact so far.
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
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.curation.correction import class_shares, correct
from datashop_assets.curation.neighbours import neighbourhood
from datashop_assets.curation.transition import consensus, fit
from datashop_assets.demo.sources import SOURCES
from datashop_assets.project import EncoderSettings
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


def kinds_and_texts(most: int | None) -> tuple[NDArray[np.int64], list[str]]:
    """Every source's texts, each once, shuffled; with their kinds."""
    found = [(KINDS[name], text) for name, texts in SOURCES.items() for text in dict.fromkeys(t.text for t in texts())]
    random.Random(SEED).shuffle(found)
    found = found[:most]
    return np.array([kind for kind, _ in found]), [text for _, text in found]


def transition(rate: float, even: bool) -> NDArray[np.float64]:
    """The matrix of a rater that is wrong so often, evenly or rather one or two scores too high (round the corner)."""
    kept = np.eye(LEVELS) * (1 - rate)
    if even:
        return np.asarray(kept + rate / (LEVELS - 1) * (1 - np.eye(LEVELS)))
    return np.asarray(
        kept + rate * (0.7 * np.roll(np.eye(LEVELS), 1, axis=1) + 0.3 * np.roll(np.eye(LEVELS), 2, axis=1))
    )


def measure(vectors: NDArray[np.float32], texts: Sequence[str], true: NDArray[np.int64]) -> list[dict[str, Any]]:
    """One row for each rate, shape of errors and draw."""
    from sklearn.metrics import roc_auc_score

    near = neighbourhood(vectors, texts, NEIGHBOURS)
    rows = []
    for rate, even, draw in itertools.product((0.2, 0.4), (True, False), range(DRAWS)):
        drawn = np.random.default_rng([SEED, draw]).random(len(true))
        given = (drawn[:, None] > transition(rate, even)[true].cumsum(axis=1)).sum(axis=1).clip(0, LEVELS - 1)
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


def mean(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    values = [row[name] for row in rows if row[name] is not None]
    return round(statistics.fmean(values), 4) if values else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_TEXTS} texts, at most five minutes")
    arguments = parser.parse_args()
    begun = time.perf_counter()
    true, texts = kinds_and_texts(QUICK_TEXTS if arguments.quick else None)
    vectors = TransformerEncoder(EncoderSettings(max_tokens=128)).encode(texts)
    encoded = time.perf_counter() - begun
    rows = measure(vectors, texts, true)
    say("| wrong | errors | " + " | ".join(MEANS) + " |\n|---|---|" + "---|" * len(MEANS))
    for rate, even in itertools.product((0.2, 0.4), (True, False)):
        mine = [row for row in rows if (row["rate"], row["even"]) == (rate, even)]
        shown = " | ".join("–" if (value := mean(mine, name)) is None else f"{value:.3f}" for name in MEANS)
        say(f"| {rate:.0%} | {'even' if even else 'upwards'} | {shown} |")
    by_rate = {rate: [row for row in rows if row["rate"] == rate] for rate in (0.2, 0.4)}
    told = {
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
        "seconds_300k": None,
        "peak_gb_300k": None,
        "index_recall": None,
        "n": len(texts),
        "rounds": DRAWS,
        "encoding_s": round(encoded, 1),
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
