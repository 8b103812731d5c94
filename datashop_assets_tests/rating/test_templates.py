"""Lens templates are no programs: what could spin, fill the memory or reach for anything is refused with its line."""

from pathlib import Path

import pytest

from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens_folder import LensFolderError, load_lens
from datashop_assets.rating.rendering import messages
from datashop_assets_tests.rating.lens_folders import PROMPT, write_folder


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        pytest.param("{{ 'x' * 10**9 }}", "multiplying", id="a text a billion times"),
        pytest.param("{{ 9**9**9 }}", "raising to a power", id="an endless power"),
        pytest.param("{{ '%999999999d' % 1 }}", "%", id="a wide format"),
        pytest.param("{% for a in range(99999) %}{% endfor %}", "calling", id="a long loop"),
        pytest.param("{% for a in document %}{% endfor %}", "not over a document", id="a loop over the document"),
        pytest.param("{% for a in document|sort %}{% endfor %}", "not over a document", id="the same through a filter"),
        pytest.param("{{ document|join(document) }}", "join is for lists", id="a square of the document"),
        pytest.param(
            "{% for a in criteria %}{% for b in criteria %}{% for c in criteria %}{% endfor %}{% endfor %}{% endfor %}",
            "2 deep at most",
            id="loops three deep",
        ),
        pytest.param("{% for a in criteria recursive %}{{ loop(a) }}{% endfor %}", "recursive", id="a recursive loop"),
        pytest.param("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "macro", id="a recursive macro"),
        pytest.param("{% set a = document ~ document %}", "set", id="a text that doubles"),
        pytest.param("{{ document.ljust(10) }}", "calling", id="a method of the document"),
        pytest.param("{{ ''.__class__.__mro__ }}", "", id="a way to Python's classes"),
        pytest.param("{{ cycler.__init__.__globals__ }}", "'cycler' is no value", id="a way to Python's globals"),
        pytest.param("{{ document|center(999999999) }}", "No filter named", id="a filter that pads"),
        pytest.param("{% include document %}", "names its file as a string", id="an include that a document names"),
        pytest.param("{% import 'prompt.jinja' as p %}", "import", id="an import"),
        pytest.param("{% extends 'system.jinja' %}", "extends", id="inheritance"),
        pytest.param("{% include 'prompt.jinja' %}", "includes this file again", id="a file that includes itself"),
    ],
)
def test_what_could_run_away_is_refused_at_load(tmp_path: Path, template: str, reason: str) -> None:
    folder = write_folder(tmp_path, prompt_jinja=PROMPT + template)
    if reason:
        with pytest.raises(LensFolderError) as caught:
            load_lens(folder)
        assert any(reason in fault.reason and fault.line == 6 for fault in caught.value.faults), str(caught.value)
    else:
        # The sandbox gives an undefined value, which says nothing.
        with pytest.raises(ValueError, match="cannot be rendered: access to attribute '__class__'"):
            messages(load_lens(folder), Document("a"))


def test_includes_that_double_at_every_step_are_refused(tmp_path: Path) -> None:
    """Forty small files that would render to 2^40 texts."""
    steps = {f"s{n}_jinja": f"{{% include 's{n + 1}.jinja' %}}" * 2 for n in range(40)} | {"s40_jinja": "x"}
    folder = write_folder(tmp_path, prompt_jinja=PROMPT + "{% include 's0.jinja' %}", **steps)
    with pytest.raises(LensFolderError, match="characters with what it includes"):
        load_lens(folder)


def test_files_that_include_each_other_are_refused(tmp_path: Path) -> None:
    folder = write_folder(
        tmp_path,
        prompt_jinja=PROMPT + "{% include 'a.jinja' %}",
        a_jinja="{% include 'b.jinja' %}",
        b_jinja="\n{% include 'a.jinja' %}",
    )
    with pytest.raises(LensFolderError, match=r"b\.jinja:2: includes 'a\.jinja', which includes this file again"):
        load_lens(folder)


@pytest.mark.parametrize("line", ["Be fair{% if low %}, please{% endif %}", "Be fair {# why? #}"])
def test_a_line_that_would_run_into_the_next_one_is_said(tmp_path: Path, line: str) -> None:
    with pytest.raises(LensFolderError, match=r"prompt\.jinja:6: text and a block share this line"):
        load_lens(write_folder(tmp_path, prompt_jinja=f"{PROMPT}{line}\nNext."))
    kept = write_folder(tmp_path, prompt_jinja=f"{PROMPT}{line[:-2]}+{line[-2:]}\nNext.")
    assert messages(load_lens(kept), Document("a"))[-1]["content"].endswith("\nNext.")


def test_what_lens_authors_need_works(tmp_path: Path) -> None:
    header = """\
    title: Clarity
    description: How clear.
    criteria:
      - {name: order, range: [1, 3], anchors: {1: none, 3: strict}}
      - {name: overall, range: [1, 3]}
    positive_at: 2
    """
    prompt = """\
    {% for criterion in criteria %}
    {{ loop.index }}. {{ criterion.name|upper }} ({{ criterion.low }}-{{ criterion.high }})
    {% for level, meaning in criterion.anchors.items() %}
       {{ level }}: {{ meaning }}
    {% endfor %}
    {% endfor %}
    {% if wants_rationale %}
    {% include "parts/why.jinja" %}
    {% endif %}
    {# a comment #}
    {{ criteria|length }} {{ document[:4] }}
    """
    parts = {"parts__why_jinja": "Say why{% include 'mark.jinja' +%}\n", "parts__mark_jinja": "!"}
    lens = load_lens(write_folder(tmp_path, lens_yaml=header, prompt_jinja=prompt, **parts))
    assert messages(lens, Document("document"))[-1]["content"].split("\n") == [
        "1. ORDER (1-3)",
        "   1: none",
        "   3: strict",
        "2. OVERALL (1-3)",
        "Say why!",
        "2 docu",
    ]
