"""Targets by dataset: example texts to one description, and the lens that judges by it."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from datashop_assets.graph import SHIPPED_LENSES, TARGET_MODEL, Graph, load_graph
from datashop_assets.project import ProjectError, RaterSettings, TargetCorpus, load_project
from datashop_assets.rating.judgement import Document
from datashop_assets.rating.lens_folder import load_lens
from datashop_assets.rating.prompted import PromptedRater
from datashop_assets.rating.questions import Question, QuestionError, Reply
from datashop_assets.rating.rendering import messages
from datashop_assets.rating.target_corpora import example_texts
from datashop_assets.rating.targets import TargetError, describe, excerpt, write_lens, written_description
from datashop_assets.records import TARGET_DESCRIPTIONS
from datashop_assets_tests.worlds import World, failure_of, metadata_of, write_project
from resources.raters.scripted import ScriptedChatModel

NASTY = 'Use {{ braces }}, {% if %}, {"json": [1, 2]}, $\\frac{1}{2}$, a: b # c, </target> and "quotes"'


def naming(question: Question) -> str:
    """Describes examples by their first word, and merges two descriptions into a bracket of both."""
    material = question.messages[-1]["content"]
    if material.startswith("Examples:"):
        return f"<{material.split()[1]}>"
    first, second = material.removeprefix("First description:").split("Second description:")
    return f"({first.strip()} {second.strip()})"


def described(corpora: int, answer: Callable[[Question], Reply | str] = naming) -> tuple[str, ScriptedChatModel]:
    model = ScriptedChatModel(answer)
    excerpts = [excerpt(f"c{n}", [f"text{n} more"], 100, model) for n in range(corpora)]
    return describe(excerpts, model).text, model


@pytest.mark.parametrize("corpora", [1, 2, 3, 5, 8])
def test_every_corpus_is_described_once_and_is_in_the_one_description(corpora: int) -> None:
    text, model = described(corpora)
    for number in range(corpora):
        assert text.count(f"<text{number}>") == 1
    assert len(model.asked) == 2 * corpora - 1


def test_merging_is_balanced_and_its_order_the_same_every_time() -> None:
    text, _ = described(8)
    depth, deepest = 0, 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        deepest = max(deepest, depth)
    assert deepest == 3, "eight descriptions are merged in three rounds"
    assert described(8)[0] == text


def test_an_excerpt_ends_where_its_budget_does_and_each_corpus_has_its_own() -> None:
    model = ScriptedChatModel(naming)
    part = excerpt("c", ["one two three", "four five six", "seven"], 5, model)
    assert (part.text, part.texts, part.tokens) == ("one two three\n\nfour five", 2, 5)
    assert excerpt("d", ["  ", "eight"], 5, model).text == "eight"


def test_a_corpus_without_text_is_named() -> None:
    with pytest.raises(TargetError, match="'empty' has no text"):
        excerpt("empty", ["", " \n"], 5, ScriptedChatModel(naming))


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(Reply(""), "an empty answer", id="empty"),
        pytest.param(Reply("it goes on and", finish="length"), "more than", id="cut off"),
        pytest.param(Reply("no", finish="refused"), "a refusal", id="refused"),
    ],
)
def test_a_description_that_is_none_is_asked_for_again_and_then_an_error(answer: Reply, why: str) -> None:
    asked: list[Question] = []

    def failing(question: Question) -> Reply:
        asked.append(question)
        return answer

    with pytest.raises(TargetError, match=why):
        described(1, failing)
    assert len({question.digest for question in asked}) == 3, "each attempt really generates"


def test_an_attempt_that_fails_is_made_good_by_the_next() -> None:
    answers: list[Any] = [QuestionError("too_long", "of 9 tokens"), "the description"]

    def second_time(_: Question) -> str:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    assert described(1, second_time)[0] == "the description"


def test_corpora_are_read_by_pattern_and_column_in_order(tmp_path: Path) -> None:
    rows = [json.dumps({"prompt": f"b{n}"}) for n in range(2)] + ["no json", json.dumps({"prompt": None})]
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(rows).encode()))
    pl.DataFrame({"prompt": ["a0"]}).write_parquet(tmp_path / "a.parquet")
    corpus = TargetCorpus(name="c", files=(f"{tmp_path}/*",), column="prompt")
    assert list(example_texts(corpus)) == ["a0", "b0", "b1"]
    assert list(example_texts(TargetCorpus(name="c", texts=("x", "y")))) == ["x", "y"]


@pytest.mark.parametrize(
    ("file", "why"),
    [
        pytest.param("nothing.jsonl", "there is no file", id="missing"),
        pytest.param("*.jsonl", "there is no file", id="a pattern that nothing fits"),
        pytest.param("notes.docx", "no known format", id="another format"),
    ],
)
def test_a_corpus_that_cannot_be_read_says_so(tmp_path: Path, file: str, why: str) -> None:
    (tmp_path / "notes.docx").write_text("x")
    with pytest.raises(TargetError, match=why):
        list(example_texts(TargetCorpus(name="c", files=(f"{tmp_path}/{file}",))))


def test_whatever_a_description_contains_is_shown_to_the_rater_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "science"
    write_lens(folder, "Science", NASTY, SHIPPED_LENSES / TARGET_MODEL)
    lens = load_lens(folder)
    assert lens.title == "Science"
    assert written_description(folder) == NASTY
    prompt = messages(lens, Document("a document"))[-1]["content"]
    assert "{{ braces }}, {% if %}" in prompt
    assert '{"json": [1, 2]}, $\\frac{1}{2}$' in prompt


def test_a_description_of_another_text_is_another_version_of_the_lens(tmp_path: Path) -> None:
    versions = set()
    for text in ("one", "two"):
        write_lens(tmp_path / "science", "Science", text, SHIPPED_LENSES / TARGET_MODEL)
        versions.add(load_lens(tmp_path / "science").version)
    assert len(versions) == 2


def test_what_a_person_changed_in_the_lens_besides_the_description_stays(tmp_path: Path) -> None:
    folder = tmp_path / "science"
    write_lens(folder, "Science", "one", SHIPPED_LENSES / TARGET_MODEL)
    (folder / "prompt.jinja").write_text("Mine: {{ description }} {{ document }} {{ answer_format }}")
    write_lens(folder, "Science", "two", SHIPPED_LENSES / TARGET_MODEL)
    assert load_lens(folder).prompt.startswith("Mine:")
    assert [path.name for path in tmp_path.iterdir()] == ["science"]


class Killed(BaseException):
    pass


@pytest.mark.parametrize("there", ["nothing", "a lens", "a lens without its lens.yaml"])
def test_a_kill_at_any_moment_leaves_the_old_lens_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    def files(folder: Path) -> dict[str, str]:
        return {file.name: file.read_text() for file in sorted(folder.glob("[!.]*")) if file.is_file()}

    left = 0

    def deadly(what: str) -> None:
        real = getattr(Path, what)

        def step(path: Path, *arguments: Any, **named: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                if what.startswith("write"):
                    path.touch()  # begun, and no more
                raise Killed
            return real(path, *arguments, **named)

        monkeypatch.setattr(Path, what, step)

    for what in ("rename", "replace", "write_text", "write_bytes"):
        deadly(what)
    mine = "Mine: {{ description }} {{ document }} {{ answer_format }}"
    for moment in range(1, 20):
        folder = tmp_path / str(moment) / "science"
        if there != "nothing":
            write_lens(folder, "Science", "one", SHIPPED_LENSES / TARGET_MODEL)
            (folder / "prompt.jinja").write_text(mine)
        if there == "a lens without its lens.yaml":
            (folder / "lens.yaml").unlink()
        before = files(folder)
        left = moment
        try:
            write_lens(folder, "Science", "two", SHIPPED_LENSES / TARGET_MODEL)
            break
        except Killed:
            assert files(folder) == before
            write_lens(folder, "Science", "three", SHIPPED_LENSES / TARGET_MODEL)
            assert load_lens(folder).description == "three"
            assert (load_lens(folder).prompt == mine) == (there != "nothing")
    assert moment > 1
    assert load_lens(folder).description == "two"


def test_what_an_older_version_left_between_two_renamings_is_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "science"
    write_lens(folder, "Science", "one", SHIPPED_LENSES / TARGET_MODEL)
    folder.rename(tmp_path / ".science.old")
    assert written_description(folder) == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["science"]


# The asset

CORPORA = [{"name": "physics", "texts": ["gravity pulls"]}, {"name": "law", "texts": ["statutes bind"]}]


class Targets(World):
    """The tiny project with a target whose model names what it is shown."""

    def __init__(self, folder: Path) -> None:
        write_project(folder, **self.changes(CORPORA))
        super().__init__(folder)
        self.model = ScriptedChatModel(naming)
        prompted = RaterSettings(backend="openai", model="m", base_url="http://127.0.0.1:9/v1")
        self.raters["scripted"] = PromptedRater(self.model, prompted)  # type: ignore[assignment]
        self.reload()

    @staticmethod
    def changes(corpora: list[dict[str, Any]]) -> dict[str, Any]:
        lens = {"rater": "scripted", "sample_per_shard": 5}
        return {
            "lenses": {"exam": lens, "clarity": lens},
            "targets": {"exam": {"title": "Exam", "rater": "scripted", "corpora": corpora}},
        }

    def describe(self, *, fails: bool = False, **config: Any) -> Any:
        return self.run("describe_targets", "exam", config={"target_description": config}, fails=fails)

    def description(self) -> str:
        text = written_description(self.folder / "targets" / "exam")
        assert text is not None
        return text


@pytest.fixture
def targets(tmp_path: Path) -> Targets:
    return Targets(tmp_path)


def test_a_target_is_described_shown_recorded_and_then_a_lens_like_any_other(targets: Targets) -> None:
    facts = metadata_of(targets.describe(), "target_description")["exam"]
    assert set(targets.description()) == set("(<gravity> <statutes>)")
    assert "&lt;gravity>" in facts["description"]
    assert facts["questions"] == 3
    assert targets.read(TARGET_DESCRIPTIONS)["by"].to_list() == ["model"]
    targets.reload()
    assert targets.graph.lenses["exam"].description == targets.description()


def test_a_target_that_is_not_described_is_in_the_graph_and_rates_nothing(targets: Targets) -> None:
    targets.land_shards(1)
    targets.run("parse_and_embed_shards")
    message = failure_of(targets.run("rate_documents", "exam", fails=True))
    assert "target_description" in message
    assert targets.model.asked == []


def test_describing_again_asks_nothing_until_the_corpora_change(targets: Targets) -> None:
    targets.describe()
    asked = len(targets.model.asked)
    facts = metadata_of(targets.describe(), "target_description")["exam"]
    assert facts["skipped"] is True
    assert len(targets.model.asked) == asked
    targets.change_project(**Targets.changes([{"name": "physics", "texts": ["light bends"]}]))
    targets.describe()
    assert targets.description() == "<light>"


def test_a_persons_edit_stays_and_is_never_overwritten_unasked(targets: Targets) -> None:
    targets.describe()
    file = targets.folder / "targets" / "exam" / "lens.yaml"
    file.write_text(file.read_text().replace("gravity", "mechanics"))
    facts = metadata_of(targets.describe(), "target_description")["exam"]
    assert (facts["skipped"], facts["edited by hand"]) == (True, True)
    assert "mechanics" in targets.description()

    targets.change_project(**Targets.changes([{"name": "physics", "texts": ["light bends"]}]))
    assert "was edited" in failure_of(targets.describe(fails=True))
    assert "mechanics" in targets.description()
    targets.describe(overwrite=True)
    assert targets.description() == "<light>"


def test_a_person_may_write_the_description(targets: Targets) -> None:
    targets.describe(description=NASTY)
    assert targets.description() == NASTY
    assert targets.model.asked == []
    assert metadata_of(targets.describe(), "target_description")["exam"]["skipped"] is True
    assert "is empty" in failure_of(targets.describe(description=" ", fails=True))


def test_a_target_lens_that_nobody_enabled_is_no_part_of_the_graph(tmp_path: Path) -> None:
    changes = Targets.changes(CORPORA)
    del changes["lenses"]["exam"]
    graph: Graph = load_graph(load_project(write_project(tmp_path, **changes)))
    assert sorted(graph.lenses) == ["clarity"]


def test_a_corpus_needs_exactly_one_kind_of_source(tmp_path: Path) -> None:
    changes = Targets.changes([{"name": "both", "texts": ["x"], "files": ["y.jsonl"]}])
    with pytest.raises(ProjectError, match="either files or texts"):
        load_project(write_project(tmp_path, **changes))
