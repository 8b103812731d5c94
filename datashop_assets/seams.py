"""The seams of datashop: the few protocols behind which everything that touches the world stands.

What belongs here: protocols of one to three methods, and the kind of error that trying again does not mend. The
protocols' real implementations and scripted fakes live in `resources/`; the stages know only these.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from datashop_assets.encoding_figures import EncodingFigures
from datashop_assets.rating.judgement import Document, Judgement
from datashop_assets.rating.lens import Lens
from datashop_assets.rating.questions import Question, Reply
from datashop_assets.records import TableSpec


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


@dataclass(frozen=True)
class TrackedTraining:
    """What a tracker is told: settings, figures of the finished model, and a curve of (name, step, value)."""

    key: str
    name: str
    settings: Mapping[str, str]
    figures: Mapping[str, float]
    curve: Sequence[tuple[str, int, float]]


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
        frame: pl.DataFrame | Iterable[pl.DataFrame],
        cells: Sequence[Mapping[str, str]] | None,
        lineage: Mapping[str, Any],
    ) -> Commit:
        """Replace the cells (partition values and, where the table has one, `version`) by the frame's rows.

        A frame's rows keep their order. Of several frames one is in memory at a time, and they may change places; they
        must be iterable more than once, as a commit may be tried again, and what they raise is raised here, with the
        table as it was. A cell without rows is recorded as empty.
        `cells=None` appends records. Raises SchemaMismatchError or CellMismatchError, with nothing written.
        """
        ...

    def cells(self, table: TableSpec) -> pl.DataFrame:
        """What the table has: one row a cell with its partition values, `version` and `rows`; no rows are scanned."""
        ...

    def version(self, table: TableSpec) -> int | None:
        """The table's newest version, or None where nothing was ever committed."""
        ...


@dataclass(frozen=True)
class TableState:
    """A table as it stands, from its log: its size, and who wrote it last (asset and run where the commit names them,
    else the operation of the lake's housekeeping)."""

    name: str
    version: int
    rows: int
    bytes: int
    files: int
    written_at: datetime
    operation: str
    asset: str | None
    run_id: str | None


class LakeHistory(Protocol):
    """The tables through time, for people: nothing is planned from it. Raises LookupError saying what there is."""

    def tables(self) -> list[str]:
        """The names of all tables."""
        ...

    def state(self, name: str) -> TableState:
        """The table as it stands."""
        ...

    def rows(self, name: str, version: int | None = None) -> pl.LazyFrame:
        """The rows as they are stored, the markers of empty cells among them; null: of the newest version."""
        ...

    def version_at(self, name: str, moment: datetime) -> int | None:
        """The version that was the newest at the moment; None where there was none yet."""
        ...

    def as_of(self, versions: Mapping[str, int], moment: datetime | None) -> Lake:
        """The lake as it stood, to read: tables at `versions`, the others as they were at `moment` (null: are)."""
        ...


class Progress(Protocol):
    """Keeps the finished rows of a cell that is still being rated, so that a killed process pays for little again."""

    def scan(self) -> pl.LazyFrame | None:
        """What was kept, or None where nothing was."""
        ...

    def append(self, rows: pl.DataFrame) -> None:
        """Keep these rows too, wholly or not at all."""
        ...

    def replace(self, rows: pl.DataFrame) -> None:
        """Keep these rows instead of what was kept; at no moment neither of them."""
        ...

    def clear(self) -> None:
        """Forget them, once they are committed; but not those that another process kept since they were read."""
        ...


# Gives the progress of what its arguments name: stage, versions, cell.
Staging = Callable[..., Progress]


class Rater(Protocol):
    """An LLM with its settings. `id` is a content id: the same id gives comparable judgements."""

    @property
    def id(self) -> str: ...

    def rate(self, lens: Lens, documents: Iterable[Document]) -> Iterator[Judgement]:
        """Judge the documents through the lens, one judgement a document, in order, as they become available.

        `documents` is read only a little ahead of what was yielded, so that a stream of millions needs little memory.
        A document that cannot be judged yields a judgement with a reason. Raises only where no document at all can be
        judged (endpoint unreachable, model missing, lens of a kind that this rater cannot use), naming what to do.
        """
        ...


class ChatModel(Protocol):
    """A chat model, in this process or served. A prompted rater (`rating/prompted.py`) asks it.

    `id` is a content id of the model and of how it is run; `parallel` is how many questions it takes at once.
    """

    @property
    def id(self) -> str: ...

    @property
    def parallel(self) -> int: ...

    def start(self) -> None:
        """Make sure that it can be asked: load it, or reach its server. Cheap when repeated.

        Raises PermanentError where a person has to change something (key, model, address), another error where
        waiting may help; both say what to do.
        """
        ...

    def ask(self, question: Question) -> Reply:
        """Answer one question; called by up to `parallel` threads. Raises what `start` raises, and QuestionError for
        what concerns this question alone."""
        ...

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        """The character span of each of the model's tokens in the text, in order. Raises PermanentError where the
        model's tokenizer is not known."""
        ...


class AnswerCache(Protocol):
    """Keeps valid answers, for all shards, lenses, runs and processes. A key says all that determines an answer."""

    def get(self, key: str) -> Reply | None: ...

    def put(self, key: str, reply: Reply) -> None: ...


class Encoder(Protocol):
    """Text to vector. `id` is a content id of the weights, pooling, normalisation and truncation."""

    @property
    def id(self) -> str: ...

    @property
    def usage(self) -> EncodingFigures:
        """What it has done so far; the difference of two is what was done between them."""
        ...

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed the texts: float32 of shape [texts, dimension], in order."""
        ...


class LanguageModels(Protocol):
    """The project's causal language models, by reference; None stands for the one that the project anneals."""

    def id(self, reference: str | None = None) -> str:
        """The model's content id."""
        ...

    def load(self, reference: str | None = None) -> tuple[Any, Any]:
        """Model and tokenizer, as transformers makes them."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of the project's model each text has."""
        ...


class ModelFiles(Protocol):
    """Files of models that were made elsewhere."""

    def folder(self, reference: str, revision: str | None = None) -> Path:
        """The local folder of a model: of a path, of package:<module>/<folder>, or of a hub name at a revision.

        Raises PermanentError naming the reference where it leads nowhere."""
        ...

    def file(self, reference: str, file: str | None = None, revision: str | None = None) -> Path:
        """One local file: the reference itself, or of a hub name's repository the `file`. Raises as `folder` does."""
        ...


class Tokenizers(Protocol):
    """The tokenizers of the project's language models, by reference; None stands for the one that is annealed."""

    def tokenizer(self, reference: str | None = None) -> Any:
        """The tokenizer, as transformers makes it; no model is loaded."""
        ...


class Publisher(Protocol):
    """Pushes model folders to where others find them."""

    def publish(self, repository: str, folder: Path, private: bool, message: str) -> str:
        """Make the repository (owner/name) hold the files of the folder, and return its address.

        The same files again change nothing. Raises PermanentError where a person has to change something.
        """
        ...


class Tracker(Protocol):
    """An experiment tracker."""

    def track(self, training: TrackedTraining) -> str:
        """Tell it of a training, once: the same `key` again changes nothing. Returns where it stands, for people."""
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
        """Store a finished directory; return what `fetch` takes. All or nothing; storing the same name again is a
        no-op.

        What is returned does not say where the store is, so that tables and store can be moved together.
        """
        ...

    def place(self, uri: str) -> str:
        """The full path or URL of what is stored, for people."""
        ...

    def fetch(self, uri: str) -> Path:
        """A local directory with the model's files. A full path or URL is taken as it is. Raises FileNotFoundError."""
        ...


class Exports(Protocol):
    """Where results of one kind lie that people take away, as folders by name, such as <lens>/<release>.

    A folder is made on the local disk, in a place that stays or is uploaded. A name is what tables keep: it does not
    say where the exports are.
    """

    def place(self, name: str) -> str:
        """The full path or URL, for people."""
        ...

    def folder(self, name: str) -> Path:
        """The local folder of that name, to make it or to read it: what was published under the name is in it."""
        ...

    def publish(self, name: str) -> None:
        """What was made in `folder(name)` is finished and never changes: when this returns it is at its place, whole.
        A killed process leaves nothing there that counts. The same again is a no-op."""
        ...

    def refresh(self, name: str) -> None:
        """The files in `folder(name)` replace those at its place, each whole; for what is made anew each time."""
        ...

    def faults(self, name: str) -> list[str]:
        """What is wrong with what was published, where that is not the local folder itself."""
        ...
