"""The seams of datashop: the few protocols behind which everything that touches the world stands.

What belongs here: protocols of one to three methods, and the kind of error that trying again does not mend. The
protocols' real implementations and scripted fakes live in `resources/`; the stages know only these.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.rating.lens import Lens
from datashop_assets.records import Judgement, TableSpec


class PermanentError(RuntimeError):
    """What trying again does not mend: a wrong key, an unknown model, a table of another schema.

    The message says what a person has to change. Every other error of a seam may pass, and an asset with a retry policy
    tries again.
    """


@dataclass(frozen=True)
class Commit:
    """What one commit to a table did. `version` is the table version that it made."""

    table: str
    version: int
    rows: int


class Lake(Protocol):
    """The tables. A commit is all or nothing and replaces exactly the cells that it names."""

    def scan(
        self, table: TableSpec, where: Mapping[str, Collection[str]] | None = None, version: int | None = None
    ) -> pl.LazyFrame:
        """The table's rows with the declared schema, of the given partition values; empty where nothing is yet.

        `version` reads the table as it was at that version.
        """
        ...

    def commit(
        self,
        table: TableSpec,
        frame: pl.DataFrame,
        cells: Sequence[Mapping[str, str]] | None,
        lineage: Mapping[str, Any],
    ) -> Commit:
        """Replace the cells (partition values and, where the table has one, `version`) by the frame's rows.

        A cell without rows is recorded as empty. `cells=None` appends records. Raises SchemaMismatchError or
        CellMismatchError before anything is written.
        """
        ...

    def cells(self, table: TableSpec) -> pl.DataFrame:
        """What the table has: one row a cell with its partition values, `version` and `rows`; no rows are scanned."""
        ...

    def version(self, table: TableSpec) -> int | None:
        """The table's newest version, or None where nothing was ever committed."""
        ...


class Rater(Protocol):
    """An LLM with its settings. `id` is a content id: the same id gives comparable judgements."""

    @property
    def id(self) -> str: ...

    def rate(self, lens: Lens, texts: Sequence[str]) -> Iterator[Judgement]:
        """Judge the texts through the lens, one judgement a text, in order, as they become available.

        A text that cannot be judged yields a judgement with a null score and a reason. Raises only where no
        text at all can be judged (endpoint unreachable, model missing), naming what to do.
        """
        ...


class Encoder(Protocol):
    """Text to vector. `id` is a content id of the weights, pooling, normalisation and truncation."""

    @property
    def id(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed the texts: float32 of shape [texts, dimension], in order."""
        ...


class Launcher(Protocol):
    """Runs a worker script in another process, environment or pod and waits for it."""

    def run(self, worker: str, extras: Mapping[str, Any], context: Any) -> Mapping[str, Any]:
        """Run `datashop_assets.workers.<worker>` with `extras`; return the metadata that it reported.

        Raises where the worker fails, with its last lines of output and what to change.
        """
        ...


class ModelStore(Protocol):
    """Keeps model directories under content-addressed names; a name once put never changes."""

    def put(self, name: str, directory: Path) -> str:
        """Store a finished directory; return its URI. All or nothing; storing the same name again is a no-op."""
        ...

    def fetch(self, uri: str) -> Path:
        """A local directory with the model's files. Raises FileNotFoundError naming the URI."""
        ...
