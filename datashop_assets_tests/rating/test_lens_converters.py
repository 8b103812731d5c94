"""Converters: a plain rubric and a folder of Classified's format become lens folders that ask the same."""

import json
from pathlib import Path
from typing import Any

import pytest

from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens import Chunking, Criterion, LensError
from datashop_assets.rating.lens_converters import convert_classified, convert_rubric, scale_in
from datashop_assets.rating.lens_folder import load_lens
from datashop_assets.rating.rendering import messages


def prompt_of(folder: Path, document: Document) -> str:
    return messages(load_lens(folder), document)[-1]["content"]


class TestPlainRubric:
    @pytest.mark.parametrize(
        "braces",
        [
            pytest.param('Answer as {"score": 3}.', id="JSON"),
            pytest.param(r"\frac{a}{b}, \mathbb{R}, {{a}}, {{{b}}}, x^{{2}}", id="LaTeX"),
            pytest.param("{% if %} {%- raw -%} {# no comment #} {{ nobody }} {% endraw %}", id="template syntax"),
            pytest.param("{ {} {0} {document} {examples} }", id="other placeholders"),
        ],
    )
    def test_its_braces_survive_to_the_letter(self, tmp_path: Path, braces: str) -> None:
        convert_rubric(f"Score from 0 to 5. {braces}\n\n{{example}}\n\n{braces}", tmp_path / "plain")
        said = prompt_of(tmp_path / "plain", Document("DOC {x}"))
        rubric, form = said.rsplit("\n\nWrite one or two", 1)
        assert rubric == f"Score from 0 to 5. {braces}\n\n<document>\nDOC {{x}}\n</document>\n\n{braces}"
        assert '"score": <integer from 0 to 5>' in form

    def test_tags_that_it_has_are_kept_and_guarded(self, tmp_path: Path) -> None:
        convert_rubric("Score 1-3.\n<extract>\n{example}\n</extract>", tmp_path / "tagged")
        said = prompt_of(tmp_path / "tagged", Document("a</extract>b"))
        assert "<extract>\na< /extract>b\n</extract>" in said
        assert "<document>" not in said

    def test_a_rubric_without_a_place_for_the_document_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(LensError, match=r"no \{example\}"):
            convert_rubric("Score from 0 to 5.", tmp_path / "plain")
        assert not (tmp_path / "plain").exists()

    @pytest.mark.parametrize(
        ("rubric", "scale"),
        [
            pytest.param("on a scale from 0 to 5, where 0 is", (0, 5), id="a scale from to"),
            pytest.param("Rate it 1-10. Rate it honestly, 1 – 10.", (1, 10), id="the same twice"),
            pytest.param("Use the additive 5-point scoring system below", (0, 5), id="points that are added up"),
            pytest.param("una puntuación entre 0 y 3", (0, 3), id="Spanish"),
            pytest.param("Score between 1 and 3. It has 20 to 30 lines about 1990-2000.", (1, 3), id="other numbers"),
        ],
    )
    def test_the_scale_is_found_in_the_text(self, rubric: str, scale: tuple[int, int]) -> None:
        assert scale_in(rubric) == scale

    @pytest.mark.parametrize(
        ("rubric", "reason"),
        [
            pytest.param("Great, Good, Okay, Poor or Useless", "no range of scores", id="words"),
            pytest.param(
                "Style: score 1-3. Depth: score 1-5.", r"several ranges of scores: \[\(1, 3\), \(1, 5\)\]", id="two"
            ),
        ],
    )
    def test_a_doubtful_scale_is_asked_for(self, rubric: str, reason: str) -> None:
        with pytest.raises(LensError, match=rf"{reason}.*--scale"):
            scale_in(rubric)

    @pytest.mark.parametrize(("scale", "positive"), [((0, 5), 3), ((0, 3), 2), ((1, 3), 2 + 1), ((1, 10), 6)])
    def test_above_the_middle_is_good_unless_said_otherwise(
        self, tmp_path: Path, scale: tuple[int, int], positive: int
    ) -> None:
        convert_rubric("{example}", tmp_path / "a", scale)
        convert_rubric("{example}", tmp_path / "b", scale, positive_at=scale[1])
        assert [load_lens(tmp_path / name).positive_at for name in "ab"] == [positive, scale[1]]


def integer(description: str) -> dict[str, str]:
    return {"type": "integer", "description": description}


def write_classified(folder: Path, config: dict[str, Any], scores: dict[str, Any], **files: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    properties = {"rationale": {"type": "string"}} | scores
    required = [name for name in properties if name != "depth"]
    function = {"name": "f", "parameters": {"type": "object", "properties": properties, "required": required}}
    (folder / "function.json").write_text(json.dumps(function))
    for key, text in files.items():
        file = folder / ".".join(key.replace("__", "/").rsplit("_", 1))
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    return folder


SCORES = {"depth": integer("1-3 depth."), "clear": integer("1-5 clearness."), "overall": integer("1-3 overall.")}


class TestClassified:
    def test_a_pretraining_lens_with_includes(self, tmp_path: Path) -> None:
        source = write_classified(
            tmp_path / "textbook",
            {"input_fields": ["resource"], "type": "pretrain"},
            SCORES,
            system_jinja="You judge a resource.",
            prompt_jinja="{% include 'parts/levels.txt' %}\n\nExtract{% if resource %}:{% endif %}\n\n{{resource}}",
            parts__levels_txt="1: poor\n3: good",
        )
        notes = convert_classified(source, tmp_path / "depth")
        lens = load_lens(tmp_path / "depth")
        assert lens.criteria == (
            Criterion("depth", 1, 3, "1-3 depth."),
            Criterion("clear", 1, 5, "1-5 clearness."),
            Criterion("overall", 1, 3, "1-3 overall."),
        )
        assert any("['depth'] are not required" in note for note in notes)
        assert (lens.chunking, lens.input_fields) == (Chunking("windows", 1500, 2, "mean"), ())
        assert lens.system == "You judge a resource."
        asked = prompt_of(tmp_path / "depth", Document("DOC"))
        assert asked.startswith("1: poor\n3: good")
        assert "Extract:\n\n<document>\nDOC\n</document>\n\nWrite" in asked

    def test_an_instruction_lens_keeps_its_fields(self, tmp_path: Path) -> None:
        source = write_classified(
            tmp_path / "follows",
            {"input_fields": ["instruction", "output"], "type": "instruct"},
            {"overall": integer("1-3 score.")},
            prompt_jinja="Instructions\n\n{{instruction}}\n\nOutput\n\n{{ output }}",
        )
        convert_classified(source, tmp_path / "lens")
        assert load_lens(tmp_path / "lens").document_type == "instruct"
        asked = prompt_of(tmp_path / "lens", Document("", {"instruction": "Add.", "output": "3"}))
        assert "<instruction>\nAdd.\n</instruction>\n\nOutput\n\n<output>\n3\n</output>" in asked

    def test_a_field_that_is_called_like_a_file_or_an_attribute(self, tmp_path: Path) -> None:
        source = write_classified(
            tmp_path / "texts",
            {"input_fields": ["text"], "type": "pretrain"},
            {"overall": integer("1-3 score.")},
            prompt_jinja="{% include 'text.jinja' %}\n{% if text != \"text\" %}\nShown:\n{% endif %}\n{{ text }}",
            text_jinja="Judge the text.",
        )
        convert_classified(source, tmp_path / "lens")
        asked = prompt_of(tmp_path / "lens", Document("DOC"))
        assert asked.startswith("Judge the text.Shown:\n<document>\nDOC\n</document>")

    def test_what_cannot_be_converted_leaves_nothing_behind(self, tmp_path: Path) -> None:
        source = write_classified(
            tmp_path / "calls",
            {"input_fields": ["resource"], "type": "pretrain"},
            {"overall": integer("1-3 score.")},
            prompt_jinja="{{ resource }}\n{% set a = 1 %}",
        )
        before = sorted(tmp_path.iterdir())
        with pytest.raises(LensError, match=r"lens/prompt\.jinja:4: set is not used"):
            convert_classified(source, tmp_path / "lens")
        assert sorted(tmp_path.iterdir()) == before
        (source / "prompt.jinja").write_text("{{ resource }}")
        convert_classified(source, tmp_path / "lens")
        assert prompt_of(tmp_path / "lens", Document("DOC")).startswith("<document>\nDOC")

    def test_a_folder_that_is_there_stays_as_it_is(self, tmp_path: Path) -> None:
        (tmp_path / "lens").mkdir()
        with pytest.raises(FileExistsError, match="lens already"):
            convert_rubric("Score from 0 to 5. {example}", tmp_path / "lens")

    def test_a_range_that_no_description_names_is_asked_for(self, tmp_path: Path) -> None:
        config = {"input_fields": ["resource"], "type": "pretrain"}
        scores = {"overall": integer("How good.")}
        source = write_classified(tmp_path / "a", config, scores, prompt_jinja="{{resource}}")
        with pytest.raises(LensError, match="no range for 'overall'"):
            convert_classified(source, tmp_path / "b")
        convert_classified(source, tmp_path / "b", scale=(1, 4))
        assert load_lens(tmp_path / "b").overall == Criterion("overall", 1, 4, "How good.")

    @pytest.mark.parametrize(
        ("file", "content", "reason"),
        [
            pytest.param("config.json", None, "has no config.json", id="no config"),
            pytest.param("function.json", "{", "function.json is not JSON", id="broken JSON"),
            pytest.param("function.json", "{}", "is not in Classified's format.*'parameters'", id="another JSON"),
            pytest.param("prompt.jinja", None, "has no prompt.jinja", id="no prompt"),
        ],
    )
    def test_what_is_missing_or_wrong_is_named(
        self, tmp_path: Path, file: str, content: str | None, reason: str
    ) -> None:
        config = {"input_fields": ["resource"], "type": "pretrain"}
        source = write_classified(tmp_path / "a", config, SCORES, prompt_jinja="{{resource}}")
        if content is None:
            (source / file).unlink()
        else:
            (source / file).write_text(content)
        with pytest.raises(LensError, match=f"(?s){reason}"):
            convert_classified(source, tmp_path / "b")
