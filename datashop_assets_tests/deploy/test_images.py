"""The images' recipes: who they run as, what they pin, and what reaches a build."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from resources.profiles import REPOSITORY

IMAGES = REPOSITORY / "deploy" / "images"
RECIPES = sorted(IMAGES.glob("*.Containerfile"))
SCRIPTS = sorted(REPOSITORY.glob("deploy/**/*.sh"))


def instructions(recipe: Path) -> list[tuple[str, str]]:
    """Instruction and arguments of each, continued lines joined."""
    joined = recipe.read_text().replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(name.upper(), rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda file: file.stem)
def test_an_image_runs_as_a_numbered_user_on_a_base_of_ones_choice(recipe: Path) -> None:
    found = instructions(recipe)
    assert [rest for name, rest in found if name == "USER"][-1] == "10001:10001"
    assert all(rest.startswith("${BASE}") for name, rest in found if name == "FROM")
    assert sum(name == "FROM" for name, _ in found) == 2, "what builds is left behind"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda file: file.stem)
def test_what_an_image_copies_is_there_and_reaches_the_build(recipe: Path) -> None:
    ignored = (IMAGES / ".containerignore").read_text().splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    assert "*" in ignored, "nothing reaches a build that is not named, a secret least of all"
    defaults = dict(rest.split("=", 1) for name, rest in instructions(recipe) if name == "ARG")
    for name, rest in instructions(recipe):
        if name != "COPY" or rest.startswith("--from"):
            continue
        for source in rest.split()[:-1]:
            place = re.sub(r"\$\{(\w+)\}", lambda found: defaults[found.group(1)], source)
            assert place in allowed, f"{recipe.name} copies {place}, which .containerignore keeps out"
            assert (REPOSITORY / place).exists()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda file: file.stem)
def test_every_package_of_an_image_is_pinned(recipe: Path) -> None:
    for name, rest in instructions(recipe):
        for install in re.findall(r"pip install [^&;]*", rest) if name == "RUN" else []:
            assert "--constraint constraints.txt" in install or recipe.stem == "vllm", install
    pins = (REPOSITORY / "deploy" / "requirements-vllm.txt").read_text().splitlines()
    assert all("==" in line for line in pins if line and not line.startswith("#"))


def test_the_requirements_of_an_image_are_those_of_the_project(tmp_path: Path) -> None:
    project = tmp_path / "pyproject.toml"
    project.write_text('[project]\ndependencies = ["a>=1"]\n[project.optional-dependencies]\nx = ["b"]\ny = ["c==2"]\n')
    command = ["python3", str(IMAGES / "requirements.py"), str(project), "y"]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.split() == ["a>=1", "c==2"]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_a_script_is_clean(script: Path) -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("no shellcheck here")
    done = subprocess.run(
        [shellcheck, "-x", "-P", "SCRIPTDIR", str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
