"""The rules of the house, each where a test can keep it: layers, imports, module sizes, docstrings."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted([*ROOT.glob("datashop_assets/**/*.py"), *ROOT.glob("resources/**/*.py")])
TESTS = sorted(ROOT.glob("datashop_assets_tests/**/*.py"))

# In the order of the flow: a stage may import what stands before it, never what stands after.
STAGES = [
    "corpus",
    "embedding",
    "deduplication",
    "rating",
    "curation",
    "classifier",
    "scoring",
    "attributes",
    "filtering",
    "drift",
    "cascade",
    "selection",
    "annealing",
    "evaluation",
    "tracing",
    "housekeeping",
    "automation",
    "demo",
]
MAY_IMPORT_DAGSTER = {
    "assets.py",
    "checks.py",
    "label_assets.py",
    "label_checks.py",
    "report_assets.py",
    "definitions.py",
    "partitions.py",
    "asset_metadata.py",
}
HEAVY = {
    *("torch", "transformers", "vllm", "lm_eval", "sklearn", "datasets", "sentence_transformers", "matplotlib"),
    *("scipy", "faiss", "peft", "fasttext", "mlflow", "kubernetes", "dagster_k8s", "openvino"),
}
# What the sensors and the schedule's daemon pay at every start.
LONGEST_IMPORT_S = 10


def imports(path: Path) -> set[str]:
    """Every module that a file imports at any depth, dotted."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_only_the_edges_import_dagster(path: Path) -> None:
    parts = path.relative_to(ROOT).parts
    edge = (
        parts[0] == "resources"
        or parts[1] in {"automation", "demo"}
        or path.name in MAY_IMPORT_DAGSTER
        or path.name.endswith(("_assets.py", "_checks.py"))
    )
    if not edge:
        assert "dagster" not in {module.split(".")[0] for module in imports(path)}


@pytest.mark.parametrize("path", [p for p in MODULES if p.parent.name in STAGES], ids=name)
def test_stages_depend_on_earlier_stages_only(path: Path) -> None:
    mine = STAGES.index(path.parent.name)
    for module in imports(path):
        parts = module.split(".")
        if parts[0] == "datashop_assets" and len(parts) > 1 and parts[1] in STAGES:
            assert STAGES.index(parts[1]) <= mine, f"{name(path)} imports {module}, which stands later in the flow"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.name == "profiles.py" or "environ" in p.read_text()], ids=name
)
def test_only_the_profiles_read_settings_from_the_environment(path: Path) -> None:
    """Others may hand their environment on to a child process, or set a variable that a library reads."""
    if path.name in {"profiles.py", "__main__.py"}:
        return
    reads = [
        node.args[0].value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in {"os.environ.get", "os.getenv"}
        and isinstance(node.args[0], ast.Constant)
    ]
    assert not [variable for variable in reads if str(variable).startswith(("DATASHOP", "AWS", "DAGSTER"))]


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=name)
def test_modules_are_small(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize("path", [p for p in MODULES if p.name != "__init__.py"], ids=name)
def test_a_module_says_what_belongs_in_it_and_public_functions_are_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    words = ast.get_docstring(tree) or ""
    assert words
    if not path.name.endswith(("assets.py", "checks.py")):
        assert "belongs here" in words or "belong here" in words, (
            f"{name(path)}: say what belongs here and what does not"
        )


@pytest.fixture(scope="module")
def loaded_by_the_definitions() -> set[str]:
    # The processor's time: what else the machine does meanwhile says nothing of the import.
    script = "import time, sys; t = time.process_time(); import datashop_assets.definitions; "
    script += "print(time.process_time() - t); print(' '.join(sorted({m.split('.')[0] for m in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, modules = done.stdout.strip().splitlines()[-2:]
    assert float(seconds) < LONGEST_IMPORT_S
    return set(modules.split())


def test_the_definitions_load_no_model_library(loaded_by_the_definitions: set[str]) -> None:
    assert not loaded_by_the_definitions & HEAVY


def test_the_definitions_need_no_storage_and_no_network(tmp_path: Path) -> None:
    """They load where the lake does not exist and every connection is refused."""
    script = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('a connection was opened')\n"
        "socket.socket.connect = refuse\n"
        "import datashop_assets.definitions\n"
    )
    environment = {"PATH": "/usr/bin:/bin", "DATASHOP_HOME": str(tmp_path / "nowhere")}
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, check=True, capture_output=True)
    assert not (tmp_path / "nowhere").exists()
