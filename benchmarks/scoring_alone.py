"""What every encoder of `python -m benchmarks.scoring` can do, and how one is run alone in a process of its own."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from datashop_assets.encoder_settings import EncoderSettings
from resources.encoders.local_files import encoder_folder

MAX_TOKENS = 512


class Alone(Protocol):
    """An encoder that is compared: texts to unit vectors, and words on how."""

    @property
    def settings(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]: ...

    def use_threads(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)


def run_alone(make: Callable[..., Any], words: str | None) -> None:
    """The command line of one of them: encodes and prints one JSON object."""
    from benchmarks.scoring_texts import documents

    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=64)
    parser.add_argument("--max-tokens", type=int, default=MAX_TOKENS)
    parser.add_argument("--pooling", choices=("mean", "cls"), default="mean")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "int8"), default="float32")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    texts = documents(asked.documents)
    # Peers know float32 alone.
    reduced = {} if asked.precision == "float32" else {"precision": asked.precision}
    encoder = make(str(encoder_folder(EncoderSettings().model)), asked.max_tokens, asked.pooling, **reduced)
    encoder.use_threads(asked.threads)
    encoder.encode(texts[:8])
    cpu, wall = time.process_time(), time.perf_counter()
    encoder.encode(texts)
    told = {
        "settings": encoder.settings,
        "documents": len(texts),
        "threads": asked.threads,
        "cpu_s": round(time.process_time() - cpu, 3),
        "wall_s": round(time.perf_counter() - wall, 3),
        "peak_gb": peak_gb(),
    }
    sys.stdout.write(json.dumps(told) + "\n")


def peak_gb() -> float:
    """The most memory that this program held. Not getrusage's figure: that begins with what its starter held."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e6, 3)
