"""What the embedded rater's scores are worth on the demo's sources, where the source stands in for the truth.

For each lens and each pair of a good and a bad source: the chance that a document of the good one scores above a
document of the bad one (AUC; 0.5 is chance), with a 95 % bootstrap interval over documents, beside two baselines:
the nearest exemplars in the embedding of MiniLM, and the document's length.

    nice python benchmarks/rater_quality.py [--documents 40] [--threads 2] [--cache .datashop/cache]

Documents are drawn with a seed of their own, and `--skip` leaves out the first ones of another seed, which served to
choose the settings. Prints Markdown tables; docs/raters.md holds the last measured ones.
"""

import argparse
import hashlib
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from datashop_assets.demo.sources import SOURCES  # noqa: E402
from datashop_assets.encoder_settings import EncoderSettings  # noqa: E402
from datashop_assets.project import load_project  # noqa: E402
from datashop_assets.rating.judgement import Document  # noqa: E402
from datashop_assets.rating.lens import Lens  # noqa: E402
from datashop_assets.rating.lens_folder import load_lenses  # noqa: E402
from datashop_assets.seams import Encoder  # noqa: E402
from resources.encoders import TransformerEncoder  # noqa: E402
from resources.raters.exemplar_contrast import ExemplarContrastRater  # noqa: E402

GOOD = {"educational_value": ("encyclopedia", "language_reference"), "code_quality": ("python_code",)}
SEED, CHOOSING_SEED = 2026, 11
RESAMPLES = 2000


def draw(count: int, skip: int) -> dict[str, list[str]]:
    """`count` different texts a source, none of which served to choose the settings."""
    drawn = {}
    for source, texts_of in SOURCES.items():
        texts = list(dict.fromkeys(found.text for found in texts_of()))
        used = list(texts_of())
        random.Random(CHOOSING_SEED).shuffle(used)
        left = sorted(set(texts) - {found.text for found in used[:skip]}, key=_hash)
        drawn[source] = left[:count]
    return drawn


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _hash(text: str) -> bytes:
    return hashlib.sha256(f"{SEED}:{text}".encode()).digest()


def auc(good: NDArray[np.float64], bad: NDArray[np.float64]) -> float:
    """Share of (good, bad) pairs in order; ties count one half."""
    difference = good[:, None] - bad[None, :]
    return float(np.mean((np.sign(difference) + 1) / 2))


def interval(good: NDArray[np.float64], bad: NDArray[np.float64]) -> tuple[float, float]:
    """95 % percentile bootstrap over the documents of both sources."""
    generator = np.random.default_rng(SEED)
    values = [auc(generator.choice(good, len(good)), generator.choice(bad, len(bad))) for _ in range(RESAMPLES)]
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def nearest_exemplars(lens: Lens, texts: Sequence[str], encoder: Encoder) -> NDArray[np.float64]:
    """Mean cosine to the three nearest good exemplars minus to the three nearest bad ones."""
    vectors = encoder.encode(texts)

    def nearness(examples: list[str]) -> NDArray[np.float64]:
        cosines = vectors @ encoder.encode(examples).T
        return np.asarray(np.sort(cosines, axis=1)[:, -3:].mean(axis=1), dtype=np.float64)

    good = [e.text for e in lens.used_for("contrast") if e.score >= lens.positive_at]
    bad = [e.text for e in lens.used_for("contrast") if e.score < lens.positive_at]
    return nearness(good) - nearness(bad)


def measure(lens: Lens, rater: ExemplarContrastRater, encoder: Encoder, drawn: dict[str, list[str]]) -> None:
    """Rate the drawn documents through one lens and print its tables."""
    say(f"\n## {lens.name}\n\ncheck exemplars: {rater.calibration_report(lens)}")
    begun = time.perf_counter()
    ways: dict[str, dict[str, NDArray[np.float64]]] = {"embedded rater": {}, "nearest exemplars": {}, "length": {}}
    say("\n| source | documents | mean score | standard deviation |\n|---|---|---|---|")
    for source, texts in drawn.items():
        scores = np.array([judgement.score for judgement in rater.rate(lens, map(Document, texts))], dtype=np.float64)
        ways["embedded rater"][source] = scores
        ways["length"][source] = np.array([len(text) for text in texts], dtype=np.float64)
        say(f"| {source} | {len(texts)} | {scores.mean():.2f} | {scores.std(ddof=1):.2f} |")
    seconds = (time.perf_counter() - begun) / sum(map(len, drawn.values()))
    for source, texts in drawn.items():
        ways["nearest exemplars"][source] = nearest_exemplars(lens, texts, encoder)
    say(f"\n{seconds:.2f} s a document\n\n| good source | bad source | {' | '.join(ways)} |\n|---|---|---|---|---|")
    bad_sources = [source for source in drawn if source not in GOOD[lens.name]]
    everything_bad: dict[str, NDArray[np.float64]] = {}
    for name, values in ways.items():
        everything_bad[name] = np.concatenate([values[source] for source in bad_sources])
    for good in GOOD[lens.name]:
        for bad in (*bad_sources, "all of these"):
            cells = []
            for name, values in ways.items():
                pair = values[good], everything_bad[name] if bad == "all of these" else values[bad]
                low, high = interval(*pair)
                cells.append(f"{auc(*pair):.2f} [{low:.2f}, {high:.2f}]")
            say(f"| {good} | {bad} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=40, help="a source")
    parser.add_argument("--skip", type=int, default=14, help="documents a source that served to choose the settings")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=ROOT / ".datashop" / "cache")
    parser.add_argument("--lens", choices=sorted(GOOD), action="append")
    arguments = parser.parse_args()
    settings = load_project(ROOT / "datashop.yaml").raters["embedded"].model_copy(update={"threads": arguments.threads})
    rater = ExemplarContrastRater(settings, arguments.cache)
    encoder = TransformerEncoder(EncoderSettings())
    drawn = draw(arguments.documents, arguments.skip)
    say(f"{rater.id}, {settings.document_tokens} tokens a document, {arguments.threads} threads")
    for name, lens in load_lenses([ROOT / "datashop_assets" / "lenses"]).lenses.items():
        if name in (arguments.lens or GOOD):
            measure(lens, rater, encoder, drawn)


if __name__ == "__main__":
    main()
