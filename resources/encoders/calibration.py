"""Which way of computing an encoder's vectors is the fastest on this machine: measured once and remembered.

What belongs here: the measurement, its record. What does not: the ways (`backends.py`).
"""

import json
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.lineage import content_id
from resources.encoders.backends import Forward, Way
from resources.encoders.conversions import Conversions
from resources.language_models import ModelReferenceError

# So many tokens are encoded three times a way, and then in turn by those that are near the fastest: 10 s for
# all-MiniLM-L6-v2 with OpenVINO, 2 of them its conversion, once for a machine.
TOKENS = 1024
ROUNDS = 2
# One measurement of two rounds was off by a tenth on a machine that others used, as much as two ways differ.
NEAR, TURNS = 1.2, 3
# Float32 ways agree to 1e-6. One that is off by more has met something that it does not know in the model.
TOLERANCE = 1e-4

_measured: dict[str, str] = {}


def fastest(
    candidates: Sequence[Way], model: Any, settings: EncoderSettings, pad_id: int, conversions: Conversions
) -> Way:
    """The fastest of the ways; the only one is not measured.

    The answer is kept for the process, and in the conversions' cache for others: by the model's content, the settings,
    the processor or GPU and the libraries' versions. In float32, ways whose vectors differ from the first one's are
    left out, and so is a library that cannot take the model; the record says why.
    """
    if len(candidates) == 1:
        return candidates[0]
    identity, cache = conversions.identity, conversions.cache
    machine = _machine(model.device)
    made_by = [way.made_by for way in candidates]
    key = content_id(identity, settings.pooling, settings.max_tokens, settings.precision, machine, made_by)
    file = None if cache is None else cache / "encoders" / f"{key}.json"
    if key not in _measured and file is not None and file.is_file():
        _measured[key] = json.loads(file.read_text(encoding="utf-8"))["fastest"]
    if key not in _measured:
        seconds, refused = _measure(candidates, model, settings, pad_id, conversions)
        _measured[key] = min(seconds, key=lambda name: seconds[name])
        if file is not None:
            record = {"fastest": _measured[key], "seconds": seconds, "refused": refused}
            _keep(file, record | {"model": settings.model, "machine": machine})
    return next(way for way in candidates if way.name == _measured[key])


def _measure(
    candidates: Sequence[Way], model: Any, settings: EncoderSettings, pad_id: int, conversions: Conversions
) -> tuple[dict[str, float], dict[str, str]]:
    """Seconds of each way for the same documents, and why others were not measured."""
    import torch

    documents = _documents(min(settings.max_tokens, TOKENS), model.config.vocab_size)
    seconds: dict[str, float] = {}
    refused: dict[str, str] = {}
    first = None
    for way in candidates:
        try:
            forward = way.forward(model, settings, pad_id, conversions)
        except ModelReferenceError as error:
            # The library's own way, the first, is refused by none: there is always another.
            refused[way.name] = str(error)
            continue
        with torch.inference_mode():
            vectors = forward(documents).cpu()
            first = vectors if first is None else first
            off = float((vectors - first).abs().max())
            if settings.precision == "float32" and not off <= TOLERANCE:
                refused[way.name] = f"its vectors differ by {off:.1g}"
                continue
            clock = _clock(way, model.device.type)
            seconds[way.name] = min(_seconds(forward, documents, clock) for _ in range(ROUNDS))
    near = [way for way in candidates if seconds.get(way.name, math.inf) <= NEAR * min(seconds.values())]
    if len(near) > 1:
        # Made anew: all ways at once would hold the weights as often.
        again = [(way, way.forward(model, settings, pad_id, conversions)) for way in near]
        with torch.inference_mode():
            for way, forward in again * TURNS:
                spent = _seconds(forward, documents, _clock(way, model.device.type))
                seconds[way.name] = min(seconds[way.name], spent)
    return seconds, refused


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


def _clock(way: Way, device: str) -> Callable[[], float]:
    """Seconds that other processes on the same cores do not lengthen; of a GPU, those until its answer is here."""
    if device == "cuda":
        return time.perf_counter
    # OpenVINO may compute in threads of its own, whose seconds are not those of this thread: with two streams it spent
    # .002 of .435 s in the caller's, with one all of them. All threads of the process count against it, so that what
    # else runs in there may keep it from being taken and never make it seem faster.
    return time.process_time if way.kind == "openvino" else time.thread_time


def _seconds(forward: Forward, documents: Sequence[Sequence[int]], clock: Callable[[], float]) -> float:
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
