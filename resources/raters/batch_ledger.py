"""Which batches are under way at a provider: a folder with one small file a batch, shared by processes.

What belongs here: writing down what is sent before it is sent. What does not: sending it (`openai_batch.py`).
"""

import json
import secrets
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from filelock import FileLock

FORGOTTEN_AFTER_S = 7 * 86_400  # a batch ends within a day


@dataclass(frozen=True)
class Sent:
    """A batch: its own name, the digests of questions whose answers were not received yet, the provider's id once
    it is known to have been sent."""

    name: str
    announced_at: float
    questions: tuple[str, ...]
    batch: str | None = None


class BatchLedger:
    """The batches of one model. What two processes do to it they do under its lock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from sending meanwhile, so that they see what is sent here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(self.folder / ".lock"):
            yield

    def read(self) -> list[Sent]:
        """What is under way, the oldest first; what is older than a week is forgotten."""
        found: list[Sent] = []
        for file in self.folder.glob("*.json"):
            content = json.loads(file.read_text(encoding="utf-8"))
            sent = Sent(**content | {"questions": tuple(content["questions"])})
            if sent.announced_at < time.time() - FORGOTTEN_AFTER_S:
                self.forget(sent)
            else:
                found.append(sent)
        return sorted(found, key=lambda sent: sent.announced_at)

    def announce(self, questions: Sequence[str]) -> Sent:
        """A new batch that is about to be sent, to be found again by its name."""
        return self._written(Sent(secrets.token_hex(12), time.time(), tuple(questions)))

    def is_sent(self, sent: Sent, batch: str) -> Sent:
        """The batch with the id that the provider gave it."""
        return self._written(replace(sent, batch=batch))

    def received(self, sent: Sent, questions: Collection[str]) -> None:
        """The answers of these questions were received; a batch of which all were is forgotten."""
        with self.locked():
            now = next((each for each in self.read() if each.name == sent.name), None)
            if now is None:
                return
            gone = set(questions)
            left = tuple(digest for digest in now.questions if digest not in gone)
            if left:
                self._written(replace(now, questions=left))
            else:
                self.forget(now)

    def forget(self, sent: Sent) -> None:
        self._file(sent).unlink(missing_ok=True)

    def _file(self, sent: Sent) -> Path:
        return self.folder / f"{sent.name}.json"

    def _written(self, sent: Sent) -> Sent:
        # The rename is the commit: a killed process leaves the file as it was, or as it should be.
        partial = self.folder / f"{sent.name}.partial"
        partial.write_text(json.dumps(asdict(sent)), encoding="utf-8")
        partial.replace(self._file(sent))
        return sent
