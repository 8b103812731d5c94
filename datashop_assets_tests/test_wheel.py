"""A built wheel carries the `resources` of the checkout under a name that cannot clash."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_the_built_package_runs_without_the_checkout(tmp_path: Path) -> None:
    build = [sys.executable, "setup.py", "-q", "egg_info", "--egg-base", str(tmp_path)]
    build += ["build", "--build-base", str(tmp_path / "build")]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    built = tmp_path / "build" / "lib"
    script = "import datashop_assets.definitions as d, sys; assert 'resources' not in sys.modules; print(d.__file__)"
    environment = os.environ | {"PYTHONPATH": str(built), "DATASHOP_PROJECT": str(ROOT / "datashop.yaml")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip().startswith(str(built))


def test_every_package_is_listed_for_the_wheel() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = {init.parent for top in ("datashop_assets", "resources") for init in (ROOT / top).rglob("__init__.py")}
    dotted = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    expected = {name if name.startswith("datashop_assets") else f"datashop_{name}" for name in dotted}
    assert set(settings["packages"]) == expected
