"""Files of models made elsewhere: by local path, out of an installed package, or from the model hub's cache.

What belongs here: from a reference and a revision to local files, and the scripted stand-in. What does not: loading
them (the stages), models that the project makes (`model_store.py`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from datashop_assets.seams import PermanentError
from resources import language_models

# Other formats of the same weights, which nothing here loads.
UNREAD = ["*.bin", "*.h5", "*.onnx", "*.msgpack", "*.ot", "*.gguf", "onnx/*", "openvino/*"]


class ModelFilesError(PermanentError):
    """A reference that leads to no model; the message names it and the mend."""


@dataclass(frozen=True)
class LocalAndHubFiles:
    """`seams.ModelFiles`. With HF_HUB_OFFLINE=1 a hub name is found where it was fetched before."""

    def folder(self, reference: str, revision: str | None = None) -> Path:
        """See `seams.ModelFiles`."""
        path = _located(reference)
        if path is None:
            from huggingface_hub import snapshot_download

            with _hub_errors(reference, revision):
                path = Path(snapshot_download(reference, revision=revision, ignore_patterns=UNREAD))
        if not (path / "config.json").is_file():
            raise ModelFilesError(f"model {reference!r}: {path} holds no config.json, so it is no model folder")
        return path

    def file(self, reference: str, file: str | None = None, revision: str | None = None) -> Path:
        """See `seams.ModelFiles`."""
        path = _located(reference)
        if path is None:
            if file is None:
                raise ModelFilesError(f"model {reference!r} is no local file; of a hub name say which `file` it is")
            from huggingface_hub import hf_hub_download

            with _hub_errors(reference, revision):
                return Path(hf_hub_download(reference, file, revision=revision))
        found = path / file if file is not None else path
        if not found.is_file():
            raise ModelFilesError(f"model {reference!r}: {found} is no file")
        return found


@dataclass(frozen=True)
class ScriptedModelFiles:
    """For tests: the path of each reference, and of (reference, revision) where a test cares."""

    places: Mapping[str | tuple[str, str | None], Path]

    def folder(self, reference: str, revision: str | None = None) -> Path:
        found = self.places.get((reference, revision), self.places.get(reference))
        if found is None:
            raise ModelFilesError(f"model {reference!r} at {revision!r} is not in the script")
        return found

    def file(self, reference: str, file: str | None = None, revision: str | None = None) -> Path:
        found = self.folder(reference, revision)
        return found if file is None else found / file


def _located(reference: str) -> Path | None:
    try:
        return language_models.locate(reference)
    except language_models.ModelReferenceError as error:
        raise ModelFilesError(str(error)) from error


@contextmanager
def _hub_errors(reference: str, revision: str | None) -> Iterator[None]:
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        yield
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ModelFilesError(
            f"model {reference!r}{f' at revision {revision!r}' if revision else ''} is no local path and cannot be had "
            f"from the hub: {error}; give a local path, or run once with the network on"
        ) from error
