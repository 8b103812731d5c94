"""Lens templates are no programs: what could spin, fill the memory or reach for anything is refused with its line."""

import tracemalloc
from pathlib import Path

import pytest

from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens_folder import LensFolderError, load_lens
from datashop_assets.rating.rendering import messages
from datashop_assets_tests.rating.lens_folders import PROMPT, SCORE, write_folder


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        pytest.param("{{ 'x' * 10**9 }}", "multiplying", id="a text a billion times"),
        pytest.param("{{ 9**9**9 }}", "raising to a power", id="an endless power"),
        pytest.param("{{ '%999999999d' % 1 }}", "%", id="a wide format"),
        pytest.param("{% for a in range(99999) %}{% endfor %}", "calling", id="a long loop"),
        pytest.param("{{ [1]|tojson(indent=30000000) }}", "tojson takes no arguments", id="thirty million spaces"),
        pytest.param("{{ title" + "|tojson" * 40 + " }}", "tojson stands upon tojson", id="backslashes that double"),
        pytest.param("{{ ((title|tojson) ~ '')|tojson }}", "tojson stands upon tojson", id="the same in brackets"),
        pytest.param("{{ criteria|join('" + "x" * 999 + "') }}", "100 characters at most", id="a long separator"),
        pytest.param("{{ criteria|join(description) }}", "are spelt out", id="a separator that is a value"),
        pytest.param("{{ 5|round(-3000000) }}", "are spelt out", id="ten to three millions"),
        pytest.param("{{ 0.5|round(3000000) }}", "10 digits at most", id="three million digits"),
        pytest.param("{{ title|sort }}", "sort is for lists", id="a text as a list of its letters"),
        pytest.param("{{ " + "title ~ " * 200 + "title }}", "parts; 100 are the most", id="one text of very many"),
        pytest.param("{% for a in description %}{% endfor %}", "or a text", id="a loop over the letters of a text"),
        pytest.param(
            "{% for c in criteria %}{% for a in c.description %}{% endfor %}{% endfor %}",
            "or a text",
            id="the same, inside",
        ),
        pytest.param("{% for a in [document] %}{% endfor %}", "not over a document", id="a document in a list"),
        pytest.param("{% for a in document %}{% endfor %}", "not over a document", id="a loop over the document"),
        pytest.param("{% for a in document|sort %}{% endfor %}", "not over a document", id="the same through a filter"),
        pytest.param("{{ document|join(document) }}", "join is for lists", id="a square of the document"),
        pytest.param(
            "{% for a in criteria %}{% for b in criteria %}{% for c in criteria %}{% endfor %}{% endfor %}{% endfor %}",
            "2 deep at most",
            id="loops three deep",
        ),
        pytest.param(
            "{% for a in criteria %}{% include 'system.jinja' %}{% endfor %}",
            "outside of loops",
            id="loops by includes",
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


@pytest.mark.parametrize(
    "template",
    [
        pytest.param("{{ 'x' * 10**8 }}", id="a hundred million letters"),
        pytest.param("{{ [1]|tojson(indent=10**8) }}", id="a hundred million spaces"),
        pytest.param("{{ '%100000000d' % 1 }}", id="a number as wide"),
    ],
)
def test_what_is_refused_is_not_worked_out_first(tmp_path: Path, template: str) -> None:
    """Jinja works out constants when it compiles, whatever memory that takes."""
    folder = write_folder(tmp_path, prompt_jinja=PROMPT + template)
    tracemalloc.start()
    try:
        with pytest.raises(LensFolderError):
            load_lens(folder)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10_000_000


@pytest.mark.parametrize(
    ("template", "what"),
    [
        pytest.param("{{ document[6] }}", "a single character", id="a character that a short document lacks"),
        pytest.param("{{ (document ~ '')[6] }}", "a single character", id="the same of a text made of it"),
        pytest.param("{{ document[::2] }}", "every n-th one", id="every second character, in which tags can hide"),
        pytest.param("{{ document|first }}", "`first`", id="the first character of an empty document"),
        pytest.param("{{ document|trim|last }}", "`last`", id="the last one of what is trimmed"),
        pytest.param("{{ 9 / (document|length - 20) }}", "a division", id="a division that fails for one length"),
        pytest.param("{{ 9 // (document|int) }}", "a division", id="a division by the number that a document is"),
        pytest.param("{{ criteria[document|length].name }}", "a single", id="a criterion by a document's length"),
    ],
)
def test_what_would_fail_for_one_document_only_is_refused_at_load(tmp_path: Path, template: str, what: str) -> None:
    with pytest.raises(LensFolderError, match=r"fails for some documents and not for others") as caught:
        load_lens(write_folder(tmp_path, prompt_jinja=PROMPT + template))
    assert all((fault.line, what in fault.reason) == (6, True) for fault in caught.value.faults)


def test_a_prompt_without_measure_is_refused_at_load(tmp_path: Path) -> None:
    """A loop in a loop over a hundred criteria shows ten thousand descriptions."""
    entries = "".join(f"  - {{name: c{n}, range: [1, 3], description: {'x' * 90}}}\n" for n in range(100))
    header = f"title: Many\ndescription: Many.\ncriteria:\n{entries}positive_at: 2\n"
    loops = "{% for a in criteria %}{% for b in criteria %}{{ b.description }}{% endfor %}{% endfor %}"
    with pytest.raises(LensFolderError, match="makes more than 400,"):
        load_lens(write_folder(tmp_path, lens_yaml=header, prompt_jinja=PROMPT + loops))


@pytest.mark.parametrize("mode", ["rationale_then_score", "score_only"])
def test_a_template_that_fails_in_one_mode_is_refused_whatever_the_lens_says(tmp_path: Path, mode: str) -> None:
    """The project file may choose another one."""
    prompt = PROMPT + "{% if wants_rationale %}{{ 1 / low }}{% endif %}"
    with pytest.raises(LensFolderError, match="division by zero"):
        load_lens(write_folder(tmp_path, lens_yaml=f"{SCORE}mode: {mode}\n", prompt_jinja=prompt))


def test_includes_that_double_at_every_step_are_refused(tmp_path: Path) -> None:
    """Forty small files that would render to 2^40 texts."""
    steps = {f"s{n}_jinja": f"{{% include 's{n + 1}.jinja' %}}" * 2 for n in range(40)} | {"s40_jinja": "x"}
    folder = write_folder(tmp_path, prompt_jinja=PROMPT + "{% include 's0.jinja' %}", **steps)
    with pytest.raises(LensFolderError, match="characters with what it includes"):
        load_lens(folder)


def test_loops_that_double_at_every_step_are_refused(tmp_path: Path) -> None:
    """Loops that show nothing, and so are never too long."""
    loop = "{% for a in criteria %}{% for b in criteria %}{% endfor %}{% endfor %}"
    steps = {f"s{n}_jinja": f"{{% include 's{n + 1}.jinja' %}}" * 2 for n in range(9)} | {"s9_jinja": loop}
    folder = write_folder(tmp_path, prompt_jinja=PROMPT + "{% include 's0.jinja' %}", **steps)
    with pytest.raises(LensFolderError, match="has 1,024 loops with what it includes; 100 are the most"):
        load_lens(folder)


def test_a_list_that_loops_would_take_for_ever_over_is_refused(tmp_path: Path) -> None:
    entries = "".join(f"  - {{name: c{n}, range: [1, 3]}}\n" for n in range(1001))
    header = f"title: Many\ndescription: Many.\ncriteria:\n{entries}positive_at: 2\n"
    with pytest.raises(LensFolderError, match=r"lens\.yaml:3: criteria: tuple should have at most 1000 items"):
        load_lens(write_folder(tmp_path, lens_yaml=header))


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
    {{ criteria|length }} {{ document[:4] }} {{ criteria|join(', ', attribute='name') }}
    {% for criterion in criteria[:-1] %}
    {{ criterion.name|default("nothing")|trim }} {{ 2.345|round(1) }} {{ (document|length) > 3 }}
    {% endfor %}
    """
    parts = {"parts__why_jinja": "Say why{% include 'mark.jinja' +%}\n", "parts__mark_jinja": "!"}
    lens = load_lens(write_folder(tmp_path, lens_yaml=header, prompt_jinja=prompt, **parts))
    assert messages(lens, Document("document"))[-1]["content"].split("\n") == [
        "1. ORDER (1-3)",
        "   1: none",
        "   3: strict",
        "2. OVERALL (1-3)",
        "Say why!",
        "2 docu order, overall",
        "order 2.3 True",
    ]
