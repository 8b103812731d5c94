"""Loading lens folders: all that may be written arrives, every fault is said with its line, others still load."""

from dataclasses import replace
from pathlib import Path

import pytest

from datashop_assets.rating.lens import Chunking, Criterion, Exemplar, LabelSet, LensError
from datashop_assets.rating.lens_folder import LensFolderError, load_lens, load_lenses
from datashop_assets_tests.rating.lens_folders import LABEL, PROMPT, SCORE, write_folder

TALKS, TALK = SCORE + "input_fields: [turns]\n", "{{ conversation }}"
LABELS = LABEL[LABEL.index("label_sets") :]
FULL = """\
title: Answers
description: >
  How well the output
  follows.
language: es
document_type: instruct
input_fields: [instruction, output]
criteria:
  - {name: factual, range: [1, 3], description: Is it true?, anchors: {3: All is true, 1: Not true}}
  - name: overall
    range: [1, 4]
compression: {1: 0, 2: 0, 3: 1, 4: 2}
positive_at: 1
max_chars: 900
min_chars: 2
mode: score_only
"""


def test_everything_that_may_be_written_arrives(tmp_path: Path) -> None:
    exemplars = """\
    - {use: check, score: 2, fields: {instruction: Add., output: "3"}}
    - {use: calibrate, score: 0, text: A text.}
    """
    lens = load_lens(write_folder(tmp_path, "answers", lens_yaml=FULL, exemplars_yaml=exemplars))
    assert (lens.name, lens.title, lens.description) == ("answers", "Answers", "How well the output follows.")
    assert lens.criteria == (
        Criterion("factual", 1, 3, "Is it true?", ((1, "Not true"), (3, "All is true"))),
        Criterion("overall", 1, 4),
    )
    assert (lens.low, lens.high, lens.positive_at) == (0, 2, 1.0)
    assert [lens.stored_score(level) for level in (1, 2, 3, 4)] == [0, 0, 1, 2]
    assert (lens.language, lens.document_type, lens.mode, lens.max_chars) == ("es", "instruct", "score_only", 900)
    assert lens.min_chars == 2
    assert lens.input_fields == ("instruction", "output")
    assert lens.exemplars == (
        Exemplar("Add.\n\n3", 2, "check", {"instruction": "Add.", "output": "3"}),
        Exemplar("A text.", 0, "calibrate"),
    )


def test_a_label_lens(tmp_path: Path) -> None:
    chunking = "chunking: {strategy: windows, tokens: 99, aggregate: max}\n"
    lens = load_lens(write_folder(tmp_path, lens_yaml=LABEL + chunking))
    assert lens.kind == "label"
    assert lens.label_sets == (LabelSet("domains", ("Health", "Customer support")),)
    assert lens.chunking == Chunking("windows", 99, 2, "max")


def exemplar(text: str) -> str:
    return f"- use: check\n  score: 1\n  text: fine\n{text}\n"


@pytest.mark.parametrize(
    ("files", "file", "line", "reason"),
    [
        pytest.param({"lens_yaml": "title: [a"}, "lens.yaml", 1, "is not YAML", id="broken YAML"),
        pytest.param({"lens_yaml": SCORE + "language: 2024-13-45\n"}, "lens.yaml", 5, "'2024-13-45' can", id="no date"),
        pytest.param(
            {"lens_yaml": SCORE + f"max_chars: {'9' * 5000}\n"}, "lens.yaml", 5, "cannot be read", id="5,000 digits"
        ),
        pytest.param(
            {"lens_yaml": SCORE.replace("[0, 5]", f"[0, 0x{'f' * 4000}]")}, "lens.yaml", 3, "too long", id="in hex"
        ),
        pytest.param(
            {"lens_yaml": SCORE + "max_chars: !!int ''\n"}, "lens.yaml", 5, "cannot be read", id="no number at all"
        ),
        pytest.param(
            {"exemplars_yaml": exemplar("  fields: {a: 2024-02-30}")}, "exemplars.yaml", 4, "2024-02-30", id="no day"
        ),
        pytest.param(
            {"prompt_jinja": PROMPT + f"{{{{ {'9' * 5000} }}}}"}, "prompt.jinja", None, "cannot be read", id="digits"
        ),
        pytest.param({"lens_yaml": "- title"}, "lens.yaml", 1, "must be a mapping", id="a list instead of keys"),
        pytest.param({"lens_yaml": SCORE + "colour: red\n"}, "lens.yaml", 5, "colour: there is no such key", id="typo"),
        pytest.param(
            {"lens_yaml": SCORE + "title: Again\n"}, "lens.yaml", 5, "'title' stands twice", id="a key stands twice"
        ),
        pytest.param(
            {"lens_yaml": SCORE + "mode: guess\n"}, "lens.yaml", 5, "mode: input should be", id="an unknown mode"
        ),
        pytest.param(
            {"lens_yaml": SCORE.replace("title: Clarity\n", "")}, "lens.yaml", 1, "title: the key", id="title"
        ),
        pytest.param(
            {"lens_yaml": SCORE.replace("[0, 5]", "[5, 0]")}, "lens.yaml", 3, "[5, 0] is no range", id="scale"
        ),
        pytest.param({"lens_yaml": SCORE.replace("[0, 5]", "[no, 5]")}, "lens.yaml", 3, "not False", id="no is not 0"),
        pytest.param(
            {"lens_yaml": SCORE.replace("at: 3", "at: 9")}, "lens.yaml", 4, "must lie above 0", id="positive off scale"
        ),
        pytest.param(
            {"lens_yaml": SCORE.replace("positive_at: 3\n", "")}, "lens.yaml", 1, "positive_at", id="positive"
        ),
        pytest.param({"lens_yaml": SCORE + LABELS}, "lens.yaml", 5, "exactly one of", id="scores and labels"),
        pytest.param(
            {"lens_yaml": SCORE.replace("[0, 5]", "[120, 130]").replace("positive_at: 3", "positive_at: 125")},
            "lens.yaml",
            1,
            "cannot be stored",
            id="scores beyond eight bits",
        ),
        pytest.param(
            {"lens_yaml": LABEL + "mode: expected_score\n"}, "lens.yaml", 5, "needs levels", id="label levels"
        ),
        pytest.param(
            {"lens_yaml": SCORE.replace("[0, 5]", "[1, 10]") + "mode: expected_score\n"},
            "lens.yaml",
            5,
            "levels of one digit",
            id="levels of two digits",
        ),
        pytest.param(
            {"lens_yaml": LABEL.replace("Health,", "Health,\n    health,")}, "lens.yaml", 5, "stands twice", id="label"
        ),
        pytest.param({"lens_yaml": FULL.replace("3: All is true", "3: yes")}, "lens.yaml", 9, "not True", id="yes"),
        pytest.param(
            {"lens_yaml": FULL.replace("3: All", "4: All")}, "lens.yaml", 9, "level 4 is off the range", id="anchor"
        ),
        pytest.param(
            {"lens_yaml": FULL.replace("4: 2", "4: 0")}, "lens.yaml", 12, "must not fall", id="falling compression"
        ),
        pytest.param(
            {"lens_yaml": FULL.replace(", 4: 2", "")}, "lens.yaml", 12, "every level from 1 to 4", id="level forgotten"
        ),
        pytest.param(
            {"lens_yaml": FULL.replace("[instruction,", "[title,")}, "lens.yaml", 7, "a value that every", id="reserved"
        ),
        pytest.param(
            {"lens_yaml": SCORE + "input_fields: &a [x]\nlabel_sets: *a\n"}, "lens.yaml", 6, "aliases", id="YAML alias"
        ),
        pytest.param(
            {"exemplars_yaml": exemplar("  colour: red")}, "exemplars.yaml", 4, "no such key", id="exemplar key"
        ),
        pytest.param(
            {"exemplars_yaml": exemplar("- {use: check, score: 6, text: b}")},
            "exemplars.yaml",
            4,
            "6 is off the scale",
            id="exemplar off the scale",
        ),
        pytest.param(
            {"exemplars_yaml": exemplar("- {use: contrast, score: 2, text: fine}")},
            "exemplars.yaml",
            4,
            "stands above",
            id="a text with two uses",
        ),
        pytest.param(
            {"exemplars_yaml": exemplar("- {use: check, score: 2}")},
            "exemplars.yaml",
            4,
            "has a text, or",
            id="no text",
        ),
        pytest.param(
            {"lens_yaml": SCORE + "min_chars: 3\n", "exemplars_yaml": "- {use: check, score: 2, text: ab}"},
            "exemplars.yaml",
            1,
            "at least min_chars 3",
            id="a check exemplar that would be skipped",
        ),
        pytest.param(
            {"exemplars_yaml": "- {use: few_shot, score: 2, text: a}"},
            "prompt.jinja",
            None,
            "never uses examples",
            id="few-shot exemplars that the prompt does not show",
        ),
        pytest.param(
            {"lens_yaml": FULL, "exemplars_yaml": "- {use: check, score: 1, text: a}"},
            "exemplars.yaml",
            1,
            "give the fields ['instruction', 'output']",
            id="a text to be rated by a lens for records",
        ),
        pytest.param(
            {
                "lens_yaml": TALKS,
                "prompt_jinja": TALK,
                "exemplars_yaml": "- {use: check, score: 1, fields: {turns: Hi}}",
            },
            "exemplars.yaml",
            None,
            "exemplar 1: lens 'clarity' shows a conversation",
            id="a record that the lens cannot show",
        ),
        pytest.param(
            {
                "lens_yaml": TALKS,
                "prompt_jinja": TALK,
                "exemplars_yaml": "- {use: check, score: 1, fields: {turns: [{text: Hi}]}}",
            },
            "exemplars.yaml",
            None,
            "a message's role is a word such as user",
            id="messages that are none",
        ),
        pytest.param({"system_jinja": "{{ title + 1 }}"}, ".", None, "system.jinja cannot be rendered", id="types"),
        pytest.param(
            {"system_jinja": "a\n{% if %}"}, "system.jinja", 2, "Expected an expression", id="template syntax"
        ),
        pytest.param(
            {"prompt_jinja": PROMPT + "\n{{ documnet }}"},
            "prompt.jinja",
            7,
            "'documnet' is no value",
            id="a misspelt value",
        ),
        pytest.param(
            {"prompt_jinja": PROMPT + "{% if low > 9 %}{{ nobody }}{% endif %}"},
            "prompt.jinja",
            6,
            "'nobody' is no value",
            id="an unknown value where no rendering would meet it",
        ),
        pytest.param(
            {"prompt_jinja": PROMPT + "{{ low|frobnicate }}"}, "prompt.jinja", 6, "No filter named", id="unknown filter"
        ),
        pytest.param({"prompt_jinja": "Rate!"}, "prompt.jinja", None, "never uses document", id="without the document"),
        pytest.param(
            {"prompt_jinja": PROMPT + "{% include 'no.jinja' %}"},
            "prompt.jinja",
            6,
            "has no such template",
            id="include",
        ),
        pytest.param(
            {"parts__a_jinja": "{{ nobody }}"}, "parts/a.jinja", 1, "is no value", id="a fault in a file of a subfolder"
        ),
    ],
)
def test_a_fault_is_said_with_file_line_and_reason(
    tmp_path: Path, files: dict[str, str], file: str, line: int | None, reason: str
) -> None:
    folder = write_folder(tmp_path, **files)
    with pytest.raises(LensFolderError) as caught:
        load_lens(folder)
    found = [fault for fault in caught.value.faults if reason in fault.reason]
    assert found, str(caught.value)
    assert (found[0].file.relative_to(folder).as_posix(), found[0].line) == (file, line)
    assert f"{found[0].file}{f':{line}' if line else ''}: " in str(caught.value)


DEEP = 20_000


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"lens_yaml": "[" * DEEP}, id="YAML that never closes"),
        pytest.param({"lens_yaml": f"title: {'[' * DEEP}{']' * DEEP}"}, id="YAML"),
        pytest.param({"prompt_jinja": f"{{{{ {'(' * DEEP}1{')' * DEEP} }}}}"}, id="parentheses"),
        pytest.param({"prompt_jinja": PROMPT + "{{ low" + ".a" * DEEP + " }}"}, id="attributes"),
        pytest.param({"prompt_jinja": PROMPT + "{% if low %}" * DEEP + "{% endif %}" * DEEP}, id="choices"),
        pytest.param({"prompt_jinja": PROMPT + "{% if low %}" * 60 + "{% endif %}" * 60}, id="not so many choices"),
    ],
)
def test_nesting_that_would_exhaust_the_stack_is_a_fault(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(LensFolderError, match="deep"):
        load_lens(write_folder(tmp_path, **files))


def test_all_faults_are_said_at_once(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, lens_yaml=SCORE + "colour: red\nsmell: none\n", exemplars_yaml="- {use: x}")
    with pytest.raises(LensFolderError, match=r"(?s)colour.*smell.*exemplars\.yaml:1: 0\.use"):
        load_lens(folder)


@pytest.mark.parametrize("name", ["Upper", "with|bar", "with space", "ünï"])
def test_a_name_that_cannot_be_a_partition_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(LensFolderError, match="small letters"):
        load_lens(write_folder(tmp_path, name))


def test_text_that_is_not_utf8_is_said_with_its_line(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "system.jinja").write_bytes(b"You judge.\n\xff")
    with pytest.raises(LensFolderError, match=r"system\.jinja:2: is not UTF-8"):
        load_lens(folder)


def test_a_bad_lens_does_not_keep_the_others_from_loading(tmp_path: Path) -> None:
    write_folder(tmp_path, "good")
    write_folder(tmp_path, "bad", lens_yaml="title: [")
    library = load_lenses([tmp_path])
    assert set(library.lenses) == {"good"}
    assert [fault.line for fault in library.faults["bad"]] == [1]


def test_nothing_stands_in_for_a_bad_lens_of_a_later_library(tmp_path: Path) -> None:
    """Else a typing error in one's own lens would quietly rate by the shipped one."""
    write_folder(tmp_path / "shipped")
    write_folder(tmp_path / "mine", system_jinja="{{")
    library = load_lenses([tmp_path / "shipped", tmp_path / "mine"])
    assert not library.lenses
    assert [fault.file.name for fault in library.faults["clarity"]] == ["system.jinja"]


def test_a_library_that_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(LensError, match="nowhere is not a folder"):
        load_lenses([tmp_path / "nowhere"])


@pytest.mark.parametrize("where", ["include", "link"])
def test_templates_cannot_reach_out_of_the_folder(tmp_path: Path, where: str) -> None:
    (tmp_path / "secret.jinja").write_text("a secret")
    include = "{% include '../secret.jinja' %}" if where == "include" else "{% include 'inside.jinja' %}"
    folder = write_folder(tmp_path, prompt_jinja=PROMPT + include)
    if where == "link":
        (folder / "inside.jinja").symlink_to(tmp_path / "secret.jinja")
    with pytest.raises(LensFolderError, match=r"has no such template|leads out of the lens folder"):
        load_lens(folder)


def test_the_version_changes_with_all_that_can_change_a_judgement_and_with_nothing_else(tmp_path: Path) -> None:
    plain = load_lens(write_folder(tmp_path / "0"))
    titled = load_lens(
        write_folder(tmp_path / "1", "other", lens_yaml=SCORE.replace("positive_at: 3", "positive_at: 4"))
    )
    assert plain.version == titled.version
    included = {"parts__levels_jinja": "0: bad", "prompt_jinja": PROMPT + "{% include 'parts/levels.jinja' %}"}
    before = load_lens(write_folder(tmp_path / "2", **included))
    after = load_lens(
        write_folder(tmp_path / "2", parts__levels_jinja="0: awful", prompt_jinja=included["prompt_jinja"])
    )
    assert len({plain.version, before.version, after.version}) == 3
    assert replace(plain, min_chars=9).version != plain.version
    showing = replace(plain, system="You judge {{ title | lower }}.")
    assert replace(plain, title="Wit").version == plain.version
    assert replace(showing, title="Wit").version != showing.version
    anchored = Criterion("score", 0, 5, "", ((0, "bad"),))
    versions = {replace(plain, criteria=(criterion,)).version for criterion in (plain.overall, anchored)}
    assert len(versions | {plain.version}) == 3
