"""Where the cluster test keeps its things, and the tools that it calls."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from resources.profiles import REPOSITORY

NAMESPACE = "datashop"
FOLDER = Path(os.environ.get("DATASHOP_CLUSTER_TEST", "/var/tmp/datashop-cluster-test"))
DEPLOY = REPOSITORY / "deploy"
SETTINGS = Path(__file__).resolve().parent / "settings"
TRANSCRIPT = FOLDER / "transcript.txt"
STARTED = time.time()


def say(text: str) -> None:
    """A line for the person who waits, with the time of day; kept in the transcript too."""
    line = f"{time.strftime('%H:%M:%S', time.gmtime())} {text}"
    print(line, flush=True)  # noqa: T201
    with TRANSCRIPT.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def run(*command: str, feed: str | None = None) -> str:
    """What the command prints. Raises RuntimeError with what it said where it fails."""
    done = subprocess.run(command, input=feed, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-1500:]}{done.stderr[-3000:]}")
    return done.stdout


def kubectl(*arguments: str, feed: str | None = None) -> str:
    return run("kubectl", "--namespace", NAMESPACE, *arguments, feed=feed)


def helm(*arguments: str) -> str:
    return run("helm", "--namespace", NAMESPACE, *arguments)


def facts() -> dict[str, str]:
    """How this machine reaches the stores. Raises FileNotFoundError where they do not run."""
    found: dict[str, str] = json.loads((FOLDER / "stores.json").read_text())
    return found


def chart() -> Path:
    """The official dagster chart, which is not kept in this repository."""
    named = os.environ.get("DAGSTER_CHART")
    if not named or not (Path(named) / "Chart.yaml").is_file():
        sys.exit("set DAGSTER_CHART to a folder with the official dagster chart (helm pull dagster/dagster --untar)")
    return Path(named)


def address(service: str, port: int) -> str:
    """Where this machine reaches a Service of the cluster."""
    return f"http://{kubectl('get', 'service', service, '-o', 'jsonpath={.spec.clusterIP}')}:{port}"
