"""docs/lenses.md says what is: every key, value, filter and use, and examples that load."""

import re
from pathlib import Path
from typing import get_args

import pytest

from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import Use
from datashop_assets.rating.lens_folder import load_lens
from datashop_assets.rating.lens_header import TEMPLATE_VALUES, ChunkingPart, CriterionPart, Header, LabelSetPart
from datashop_assets.rating.rendering import messages
from datashop_assets.rating.templates import FILTERS
from datashop_assets_tests.rating.lens_folders import write_folder

PAGE = (Path(__file__).parents[2] / "docs" / "lenses.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def fenced(language: str, title: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", section(title), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("key", Header.model_fields)
def test_every_key_has_a_row_with_its_default(key: str) -> None:
    row = re.search(rf"^\| `{key}` \| (.*?) \|", section("lens.yaml"), re.MULTILINE)
    assert row
    default = Header.model_fields[key].default
    if isinstance(default, str | int):
        assert row[1].strip("`") == str(default)


@pytest.mark.parametrize("part", [CriterionPart, LabelSetPart, ChunkingPart])
def test_every_key_of_a_part_is_named(part: type) -> None:
    assert not {
        key for key in part.model_fields if f"`{key}`" not in section("lens.yaml").replace("strategy:", "`strategy`")
    }


def test_every_value_filter_and_use_is_named() -> None:
    templates = section("Templates")
    assert not {name for name in (*TEMPLATE_VALUES, *FILTERS) if f"`{name}`" not in templates}
    assert re.findall(r"^\| `(\w+)` \|", section("Exemplars"), re.MULTILINE) == sorted(
        get_args(Use), key=["check", "few_shot", "contrast", "calibrate"].index
    )


def test_the_examples_of_the_page_are_a_lens(tmp_path: Path) -> None:
    header, prompt, form = (
        fenced("yaml", "lens.yaml")[0],
        fenced("jinja", "Templates")[0],
        fenced("text", "Templates")[0],
    )
    folder = write_folder(tmp_path, lens_yaml=header + "mode: score_only\n", prompt_jinja=prompt)
    asked = messages(load_lens(folder), Document("", {"instruction": "Add.", "output": "3"}))[-1]["content"]
    assert asked.startswith("correct (1 to 3): Whether what it says is true.\n   1: wrong in what matters\n")
    assert asked.endswith(form.strip())
