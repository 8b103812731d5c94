"""Which way of computing an encoder's vectors is the fastest on this machine: measured once and remembered.

What belongs here: the measurement, its record. What does not: the ways (`backends.py`).
"""

import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.lineage import content_id
from resources.encoders.backends import Forward, Way

# So many tokens are encoded three times a way: some 2 s for all-MiniLM-L6-v2, once for a machine.
TOKENS = 1024
# Float32 ways agree to 1e-6. One that is off by more has met something that it does not know in the model.
TOLERANCE = 1e-4

_measured: dict[str, str] = {}


def fastest(
    candidates: Sequence[Way], model: Any, settings: EncoderSettings, pad_id: int, identity: str, cache: Path | None
) -> Way:
    """The fastest of the ways; the only one is not measured.

    The answer is kept for the process, and in `cache` for others: by the model's content (`identity`), the settings,
    the processor or GPU and torch's version. In float32, ways whose vectors differ from the first one's are left out.
    """
    if len(candidates) == 1:
        return candidates[0]
    machine = _machine(model.device)
    names = [way.name for way in candidates]
    key = content_id(identity, settings.pooling, settings.max_tokens, settings.precision, machine, names)
    file = None if cache is None else cache / "encoders" / f"{key}.json"
    if key not in _measured and file is not None and file.is_file():
        _measured[key] = json.loads(file.read_text(encoding="utf-8"))["fastest"]
    if key not in _measured:
        seconds = _measure(candidates, model, settings, pad_id)
        _measured[key] = min(seconds, key=lambda name: seconds[name])
        if file is not None:
            _keep(file, {"fastest": _measured[key], "seconds": seconds, "model": settings.model, "machine": machine})
    return next(way for way in candidates if way.name == _measured[key])


def _measure(candidates: Sequence[Way], model: Any, settings: EncoderSettings, pad_id: int) -> dict[str, float]:
    """Seconds of each way for the same documents."""
    import torch

    documents = _documents(min(settings.max_tokens, TOKENS), model.config.vocab_size)
    seconds, first = {}, None
    for way in candidates:
        forward = way.forward(model, settings, pad_id)
        with torch.inference_mode():
            vectors = forward(documents).cpu()
            first = vectors if first is None else first
            if settings.precision == "float32" and (vectors - first).abs().max() > TOLERANCE:
                continue
            seconds[way.name] = min(_seconds(forward, documents, model.device.type) for _ in range(2))
    return seconds


def _documents(longest: int, vocabulary: int) -> list[list[int]]:
    """Ids of about TOKENS tokens: whole documents and shorter ones, as texts of a crawl are."""
    made: list[list[int]] = []
    left = TOKENS
    for share in (1.0, 0.6, 1.0, 0.3, 1.0, 0.1) * TOKENS:
        length = min(left, max(2, int(longest * share)))
        made.append([(7919 * number + 1000) % vocabulary for number in range(length)])
        left -= length
        if left <= 0:
            break
    return made


def _seconds(forward: Forward, documents: Sequence[Sequence[int]], device: str) -> float:
    # Of this thread alone: others that wait for the same cores do not decide. The answer of a GPU is waited for.
    clock = time.perf_counter if device == "cuda" else time.thread_time
    begun = clock()
    forward(documents).cpu()
    return clock() - begun


def _machine(device: Any) -> str:
    import torch

    if device.type == "cuda":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{name}, {capability}, {os.cpu_count()} cores, torch {torch.__version__}"


def _keep(file: Path, record: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    # Two processes at once write the same: the rename is whole either way.
    partial = file.with_name(f"{file.name}.{os.getpid()}")
    partial.write_text(json.dumps(record, indent=2), encoding="utf-8")
    partial.replace(file)
