"""A model in another library's format: made once, kept in the project's cache.

What belongs here: where it is kept, and that it is whole. What does not: how it is made (`int8.py`,
`openvino_graph.py`).
"""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datashop_assets.durable import made_once


@dataclass(frozen=True)
class Conversions:
    """A model's other formats, by its content (`identity`) in the folder `cache`; where that is None, in a temporary
    folder until the process ends."""

    identity: str
    cache: Path | None

    def folder(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder of the format `name`: what `make` wrote to the empty one that it was given, now or earlier."""
        place = _of_this_process() if self.cache is None else self.cache / "encoders"
        return made_once(place / f"{self.identity}-{name}", make)


@functools.cache
def _of_this_process() -> Path:
    place = Path(tempfile.mkdtemp(prefix="datashop-encoders-"))
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    return place
