"""Language models by reference: out of an installed package, from a local path, or by hub name.

What belongs here: resolving a reference, converting a GGUF file once into a safetensors folder, loading a causal
language model with its tokenizer, torch's threads. What does not: what is done with the model (`raters/`, `workers/`).
"""

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from datashop_assets.durable import made_once

# Raised by hand when a conversion of the same file would give another folder.
CONVERSION = 1


class ModelReferenceError(ValueError):
    """A model reference that leads nowhere; the message names the reference and the mend."""


def locate(reference: str) -> Path | None:
    """The local file or folder that a reference names; None where it can only be a hub name.

    `package:<module>/<path>` is a file or folder inside an installed top-level package, found without importing
    it. Anything that exists on disk, starts with `/`, `.` or `~`, or ends in `.gguf` is a local path. The rest is
    a hub name. Raises ModelReferenceError where a package or path is missing.
    """
    if reference.startswith("package:"):
        module, _, inner = reference.removeprefix("package:").partition("/")
        if not module.isidentifier():
            raise ModelReferenceError(f"model {reference!r}: write package:<top-level module>/<file or folder>")
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            raise ModelReferenceError(
                f"model {reference!r}: no installed package {module!r}; install the distribution that brings it"
            )
        path = Path(spec.submodule_search_locations[0]) / inner
    else:
        path = Path(reference).expanduser()
        if not path.exists() and not reference.startswith(("/", ".", "~")) and path.suffix != ".gguf":
            return None
    if not path.exists():
        raise ModelReferenceError(f"model {reference!r}: {path} does not exist; correct the model in the project file")
    return path


def content_id(reference: str) -> str:
    """16 hex digits naming the model: of its files' content where it is local, of its name where it is a hub name.

    Reads every byte (98 MB take about 0.2 s) and loads nothing; the same unchanged files are read once a process.
    """
    path = locate(reference)
    if path is None:
        return hashlib.sha256(reference.encode()).hexdigest()[:16]
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(str(file.relative_to(path)).encode())
        digest.update(_file_digest(file.resolve(), stat.st_size, stat.st_mtime_ns).encode())
    return digest.hexdigest()[:16]


@lru_cache(maxsize=256)
def _file_digest(file: Path, size: int, modified_ns: int) -> str:  # noqa: ARG001 - size and time are the cache key
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def model_directory(reference: str, cache: Path) -> Path | str:
    """What `from_pretrained` takes for this reference: a folder with safetensors, or a hub name.

    A GGUF file is dequantised to float32 once and kept in `cache` (five times the file's size, SmolLM2-135M:
    540 MB), named by its content; two processes at once convert it once. Raises ModelReferenceError.
    """
    path = locate(reference)
    if path is None:
        return reference
    if path.is_dir():
        if not (path / "config.json").is_file():
            raise ModelReferenceError(f"model {reference!r}: {path} holds no config.json, so it is no model folder")
        return path
    if path.suffix != ".gguf":
        raise ModelReferenceError(f"model {reference!r}: {path.name} is neither a folder nor a .gguf file")
    target = cache / f"{path.stem}-{content_id(reference)[:12]}-{CONVERSION}"
    return made_once(target, lambda folder: _convert_gguf(path, folder))


def _convert_gguf(file: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    _without_progress_bars()
    folder, name = str(file.parent), file.name
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name, trust_remote_code=False)
    dequantize = GgufConfig(dequantize=True)
    model: Any = AutoModelForCausalLM.from_pretrained(
        folder, gguf_file=name, quantization_config=dequantize, dtype=torch.float32, trust_remote_code=False
    )
    # transformers refuses to save while the quantizer that read the file is attached, dequantised or not.
    model.hf_quantizer = None
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)


def _without_progress_bars() -> None:
    from transformers.utils import logging

    disable: Any = logging.disable_progress_bar  # untyped in transformers
    disable()


def load_causal_lm(reference: str, cache: Path) -> tuple[Any, Any]:
    """The model in float32, in evaluation mode, and its tokenizer.

    Loads safetensors only and never runs code that comes with a model. Raises ModelReferenceError naming the
    reference where it cannot be loaded.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _without_progress_bars()
    directory = str(model_directory(reference, cache))
    try:
        tokenizer = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
        model: Any = AutoModelForCausalLM.from_pretrained(
            directory, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise ModelReferenceError(
            f"model {reference!r} cannot be loaded as a causal language model with safetensors weights: {error}"
        ) from error
    return model.eval(), tokenizer


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch's operators use `count` threads inside the block; None leaves torch's own choice."""
    if count is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class LanguageModels:
    """A project's causal language models, by reference; None stands for the one that the project anneals.

    Nothing is loaded before it is asked for. The last model asked for is kept, so that several strategies in one run
    share it.
    """

    def __init__(self, default: str, cache: Path) -> None:
        self._default = default
        self._cache = cache
        self._kept: tuple[str, tuple[Any, Any]] | None = None
        self._tokenizers: dict[str, Any] = {}

    def id(self, reference: str | None = None) -> str:
        """The model's content id. Raises ModelReferenceError."""
        return content_id(reference or self._default)

    def load(self, reference: str | None = None) -> tuple[Any, Any]:
        """Model and tokenizer, as of `load_causal_lm`. Raises ModelReferenceError."""
        name = reference or self._default
        if self._kept is None or self._kept[0] != name:
            self._kept = (name, load_causal_lm(name, self._cache))
        return self._kept[1]

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """How many tokens of the project's model each text has. Raises ModelReferenceError."""
        return [len(ids) for ids in self.tokenizer()(list(texts), verbose=False)["input_ids"]] if texts else []

    def tokenizer(self, reference: str | None = None) -> Any:
        """The model's tokenizer; no model is loaded. Raises ModelReferenceError."""
        from transformers import AutoTokenizer

        name = reference or self._default
        if name not in self._tokenizers:
            try:
                directory = str(model_directory(name, self._cache))
                self._tokenizers[name] = AutoTokenizer.from_pretrained(directory, trust_remote_code=False)
            except (OSError, ValueError) as error:
                raise ModelReferenceError(f"the tokenizer of model {name!r} cannot be loaded: {error}") from error
        return self._tokenizers[name]
