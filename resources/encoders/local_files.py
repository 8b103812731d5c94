"""Where an encoder's files stand, and what it is called.

What belongs here: a reference's folder on this machine, from a package, a path or the hub's cache; its name in tables.
What does not: loading the files (`transformer.py`), what a reference may look like (`resources/language_models.py`).
"""

import re
from pathlib import Path

from resources import language_models
from resources.language_models import ModelReferenceError


def encoder_folder(reference: str) -> Path:
    """The folder with the encoder's config, tokenizer and weights; a hub name may end in `@` and a revision.

    Raises ModelReferenceError.
    """
    path = language_models.locate(reference)
    if path is None:
        path = _cached_snapshot(reference)
    if not (path / "config.json").is_file():
        raise ModelReferenceError(f"encoder {reference!r}: {path} holds no config.json, so it is no model folder")
    return path


def short_name(reference: str) -> str:
    """The last telling part of a reference, safe in a table's name."""
    parts = [part for part in re.split(r"[/:]", reference) if part not in ("", "model", "package", ".", "..", "~")]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", parts[-1]) if parts else "encoder"


def _cached_snapshot(reference: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name, _, revision = reference.partition("@")
    try:
        unread = ["*.bin", "*.h5", "*.onnx", "*.msgpack", "*.ot"]
        return Path(snapshot_download(name, revision=revision or None, ignore_patterns=unread))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise ModelReferenceError(
            f"encoder {reference!r} is no local folder and cannot be had from the hub: {error}; "
            "set encoder.model to a local path, or run once with the network on"
        ) from error
