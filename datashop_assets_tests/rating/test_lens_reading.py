"""Lens files that cannot be read, or hold anything at all, make a lens or its faults, and end nothing else."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from datashop_assets.rating.lens_folder import LensFault, load_lenses
from datashop_assets.rating.lens_header import Header
from datashop_assets_tests.rating.lens_folders import PROMPT, write_folder


@pytest.mark.parametrize("name", ["a directory", "a link to nothing", "a link to itself"])
def test_a_template_that_cannot_be_read_is_a_fault_of_its_lens_alone(tmp_path: Path, name: str) -> None:
    write_folder(tmp_path, "good")
    file = write_folder(tmp_path, "bad") / "more.jinja"
    if name == "a directory":
        file.mkdir()
    else:
        file.symlink_to("nothing" if name == "a link to nothing" else "more.jinja")
    library = load_lenses([tmp_path])
    assert set(library.lenses) == {"good"}
    (fault,) = library.faults["bad"]
    assert (fault.file, "cannot be read" in fault.reason) == (file, True)


def test_a_file_that_the_disk_does_not_give_is_a_fault_of_its_lens_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_folder(tmp_path, "good")
    file = write_folder(tmp_path, "bad") / "lens.yaml"
    read = Path.read_bytes

    def broken(path: Path) -> bytes:
        if path == file:
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", broken)
    library = load_lenses([tmp_path])
    assert set(library.lenses) == {"good"}
    assert [str(fault) for fault in library.faults["bad"]] == [f"{file}: cannot be read: Permission denied"]


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.floats()
    | st.sampled_from(["", "a", "title", "{{", "\x00", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.integers(-1, 6) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


def faults_of(**files: str) -> list[LensFault]:
    """The faults of a folder with these files, each with a line that its file has."""
    with TemporaryDirectory() as library:
        found = load_lenses([write_folder(Path(library), **files).parent]).faults
        faults = [fault for some in found.values() for fault in some]
        for fault in faults:
            lines = fault.file.read_text().count("\n") + 1 if fault.file.is_file() else 0
            assert fault.line is None or 1 <= fault.line <= lines
        return faults


@given(st.dictionaries(st.sampled_from([*Header.model_fields, "colour"]), ANYTHING, max_size=4), ANYTHING)
def test_whatever_the_files_say_is_a_lens_or_has_faults(said: dict[str, Any], exemplars: Any) -> None:
    header = {"title": "a", "description": "b", "scale": [0, 5], "positive_at": 3} | said
    faults = faults_of(lens_yaml=yaml.safe_dump(header), exemplars_yaml=yaml.safe_dump(exemplars))
    assert faults or "colour" not in said


SYNTAX = [
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "if",
    "for a in criteria",
    "endfor",
    "include 'system.jinja'",
    "|",
    "a.b",
    "[",
    "\n",
]


@settings(max_examples=40)
@given(st.lists(st.sampled_from([*SYNTAX, "document", "title"]) | st.text(max_size=3), max_size=8).map(" ".join))
def test_whatever_the_files_hold_is_a_lens_or_has_faults(text: str) -> None:
    faults_of(prompt_jinja=PROMPT + text)
    assert faults_of(lens_yaml=text)
