"""How time and memory of a curation grow with its pool: part of `python -m benchmarks.curation`, which prints it.

What is real: the texts, 300,000 pieces of about 300 characters without overlap, of the demo's sources first and then of
the Python files of installed packages. To encode so many with a transformer takes hours on two cores, so a piece's
vector is the mean of the demo encoder's own token embeddings (384 dimensions) over its tokens, rare ones weighing more,
without the first principal component: the baseline of Arora, Liang and Ma, "A Simple but Tough-to-Beat Baseline for
Sentence Embeddings", ICLR 2017, section 3. For an index they are about as hard as the encoder's own vectors: of 12,000
of the pieces it found .9968 of the ten nearest, and with vectors of the whole encoder .9960 (of 6,000 .9980 and .9972).

Each size runs in a process of its own, whose seconds and peak memory count everything but reading the vectors' file:
neighbours with the recall's measurement, consensus, fit, correction, rareness. Of n rows the first n of one shuffle.
"""

import json
import random
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datashop_assets.curation.correction import class_shares, correct
from datashop_assets.curation.neighbours import neighbourhood
from datashop_assets.curation.transition import consensus, fit
from datashop_assets.encoder_settings import EncoderSettings
from resources.encoders import TransformerEncoder

PIECE_CHARS, LONGEST_CHARS = 300, 600
# Of Arora et al.: a token of this share of all tokens weighs half.
HALF_WEIGHT = 1e-3
AT_ONCE = 2000


def pieces(kinds: NDArray[np.int64], texts: Sequence[str], code: int, most: int, seed: int) -> list[tuple[int, str]]:
    """Kind and text of so many pieces, each text once; fewer where the machine has no more."""
    found: dict[str, int] = {}
    for kind, text in zip(kinds.tolist(), texts, strict=True):
        for piece in _cut(text):
            found.setdefault(piece, kind)
    files = sorted(Path(sysconfig.get_path("purelib")).rglob("*.py"))
    random.Random(seed).shuffle(files)
    for file in files:
        if len(found) >= most:
            break
        for piece in _cut(file.read_text(encoding="utf-8", errors="replace")):
            found.setdefault(piece, code)
    chosen = [(kind, text) for text, kind in list(found.items())[:most]]
    random.Random(seed).shuffle(chosen)
    return chosen


def _cut(text: str) -> Iterator[str]:
    """Words until PIECE_CHARS are full; what is left at the end is none."""
    words: list[str] = []
    for word in text.split():
        words.append(word)
        if sum(map(len, words)) + len(words) > PIECE_CHARS:
            yield " ".join(words)[:LONGEST_CHARS]
            words = []


def token_means(texts: Sequence[str]) -> NDArray[np.float32]:
    """One vector for each text from the demo encoder's token embeddings, see above. Float32, [texts, 384]."""
    from safetensors.numpy import load_file
    from scipy.sparse import csr_array
    from tokenizers import Tokenizer

    folder = TransformerEncoder(EncoderSettings()).local_directory()
    tokens = load_file(folder / "model.safetensors")["embeddings.word_embeddings.weight"]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    ids, ends = [], [0]
    for start in range(0, len(texts), AT_ONCE):
        for made in tokenizer.encode_batch(list(texts[start : start + AT_ONCE]), add_special_tokens=False):
            ids.append(np.array(made.ids, np.int32))
            ends.append(ends[-1] + len(ids[-1]))
    every = np.concatenate(ids)
    share = np.bincount(every, minlength=len(tokens)) / len(every)
    weight = (HALF_WEIGHT / (HALF_WEIGHT + share)).astype(np.float32)
    vectors = csr_array((weight[every], every, np.array(ends)), shape=(len(texts), len(tokens))) @ tokens
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    common = np.linalg.svd(vectors[:5000], full_matrices=False)[2][0]
    vectors -= np.outer(vectors @ common, common)
    return np.asarray(vectors, np.float32)


def growth(vectors: NDArray[np.float32], rated: NDArray[np.int64], sizes: Sequence[int], folder: Path) -> list[dict]:
    """Of each size that there are vectors for: rows, groups, seconds, processor_seconds, peak_gb, recall."""
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "rated.npy", rated)
    rows = []
    for size in sizes:
        if size <= len(vectors):
            command = [sys.executable, "-m", "benchmarks.curation_scale", str(folder), str(size)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            rows.append(json.loads(done.stdout))
    return rows


def curate(folder: Path, size: int) -> dict[str, Any]:
    """One row of `growth`."""
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")[:size].copy()
    rated = np.load(folder / "rated.npy")[:size]
    classes = int(rated.max()) + 1
    begun, processor = time.perf_counter(), time.process_time()
    near = neighbourhood(vectors, [str(row) for row in range(size)], 10)
    found = fit(consensus(class_shares(rated, near.group, classes), near.nearest))
    corrected = correct([rated], near.group, near.nearest, [found], 0.5)
    rare = near.rareness
    return {
        "rows": size,
        "groups": len(near.nearest),
        "seconds": round(time.perf_counter() - begun, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "peak_gb": round(_peak_gb(), 2),
        "recall": near.recall,
        "twins_missed": near.twins_missed,
        "changed": round(float(corrected.changed.mean()), 4),
        "rareness": round(float(np.median(rare)), 4),
    }


def _peak_gb() -> float:
    """This program's most memory. `ru_maxrss` would count the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    kilobytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) / 1e6


if __name__ == "__main__":
    sys.stdout.write(json.dumps(curate(Path(sys.argv[1]), int(sys.argv[2]))))
