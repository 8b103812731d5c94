"""The command on lens folders: a new lens loads, show prints all that is asked, check fails where there are faults."""

import itertools
import json
from pathlib import Path
from typing import get_args

import pytest

from datashop_assets.rating.lens import DocumentType
from datashop_assets.rating.lens_folder import load_lens
from datashop_assets.rating.lens_scaffold import Kind, scaffold
from datashop_assets.rating.lenses import main
from datashop_assets.records import DOCUMENTS
from datashop_assets_tests.rating.lens_folders import write_folder
from datashop_assets_tests.worlds import World


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATASHOP_PROJECT", str(tmp_path / "none.yaml"))


@pytest.mark.parametrize(("kind", "document_type"), itertools.product(get_args(Kind), get_args(DocumentType)))
def test_every_new_lens_loads_and_can_be_shown(
    tmp_path: Path, kind: Kind, document_type: DocumentType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["new", "wit", "--kind", kind, "--type", document_type]) == 0
    lens = load_lens(tmp_path / "lenses" / "wit")
    assert (lens.document_type, lens.kind) == (document_type, "label" if kind == "label" else "score")
    assert main(["show", "lenses/wit"]) == 0
    assert "THING" not in capsys.readouterr().out


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scaffold(tmp_path / "lenses" / "wit")
    (tmp_path / "lenses" / "wit" / "prompt.jinja").write_text("mine")
    assert main(["new", "wit"]) == 1
    assert "already" in capsys.readouterr().err
    assert (tmp_path / "lenses" / "wit" / "prompt.jinja").read_text() == "mine"


def test_a_name_that_no_lens_can_have_makes_no_folder(tmp_path: Path) -> None:
    assert main(["new", "My Lens"]) == 1
    assert list(tmp_path.iterdir()) == []


class TestShow:
    def test_it_prints_what_is_asked_and_the_schema(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["show", "educational_value", "--text", "Why is the sky {{ blue }}?"]) == 0
        shown = capsys.readouterr().out
        assert "\nWhy is the sky {{ blue }}?\n" in shown
        schema, _ = json.JSONDecoder().raw_decode(shown.split("--- schema\n")[1])
        assert schema["properties"]["score"] == {"type": "integer", "minimum": 0, "maximum": 5}

    def test_another_mode_is_shown_as_it_would_be_asked(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["show", "educational_value", "--mode", "expected_score"]) == 0
        shown = capsys.readouterr().out
        assert "only the number" in shown
        assert "one token of ['0', '1', '2', '3', '4', '5']" in shown
        assert "JSON object of this form" not in shown

    def test_what_a_text_cannot_hold_is_said(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        (tmp_path / "document.txt").write_bytes(b"a\x00b\xff" + b"c" * 5000)
        assert main(["show", "educational_value", "--file", "document.txt"]) == 0
        shown = capsys.readouterr().out
        assert "a\ufffdb\ufffdccc" in shown
        assert "2 characters of the document that no text can hold" in shown
        assert "the document has 5,004 characters; the lens shows the first 4,000" in shown

    def test_a_record_is_given_as_json(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        scaffold(tmp_path / "talk", document_type="chat")
        (tmp_path / "chat.json").write_text(json.dumps({"messages": [{"role": "user", "content": "Hi"}]}))
        assert main(["show", "talk", "--file", "chat.json"]) == 0
        assert "<conversation>\n### user\nHi\n</conversation>" in capsys.readouterr().out

    def test_a_document_of_the_lake(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        world.land_shards(1, documents=3)
        world.run("parse_and_embed_shards")
        monkeypatch.setenv("DATASHOP_PROJECT", str(world.profile.project_file))
        shard = world.shards[0]
        row = world.lake.scan(DOCUMENTS).collect().row(0, named=True)
        assert main(["show", "teaching", "--document", row["id"], "--shard", shard]) == 0
        assert row["text"] in capsys.readouterr().out
        assert main(["show", "teaching", "--document", "nope", "--shard", shard]) == 1
        assert "has no document 'nope'" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            pytest.param(["nope"], "there is no lens 'nope'; known are", id="an unknown lens"),
            pytest.param(["educational_value", "--document", "a"], "needs --shard", id="a document of no shard"),
            pytest.param(["talk", "--text", "[1]"], "needs a record", id="no record"),
            pytest.param(["talk", "--text", "{}"], "needs the fields ['messages']", id="a record without the field"),
        ],
    )
    def test_what_cannot_be_shown_is_said(
        self, tmp_path: Path, arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        scaffold(tmp_path / "talk", document_type="chat")
        assert main(["show", *arguments]) == 1
        assert reason in capsys.readouterr().err


class TestCheck:
    def test_faults_are_printed_and_the_exit_status_says_so(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        write_folder(tmp_path / "lenses", "good")
        assert main(["check", "lenses"]) == 0
        write_folder(tmp_path / "lenses", "bad", system_jinja="\n{% if %}")
        assert main(["check", "lenses"]) == 1
        shown = capsys.readouterr().out
        assert f"{tmp_path}/lenses/bad/system.jinja:2: " in shown
        assert "1 lenses without a fault, 1 faults in others" in shown

    def test_a_single_lens_folder_may_be_given(self, tmp_path: Path) -> None:
        assert main(["check", str(write_folder(tmp_path, "good"))]) == 0
        assert main(["check", str(write_folder(tmp_path, "bad", lens_yaml="title: a"))]) == 1

    def test_a_prompt_with_a_form_of_its_own_is_noted(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write_folder(tmp_path, "good")
        write_folder(tmp_path, "own", prompt_jinja="{{ document }} Answer by a number.")
        assert main(["check", str(tmp_path)]) == 0
        notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note")]
        assert notes == ["note: lens 'own' never uses answer_format: what it asks for does not follow its mode"]

    def test_a_folder_without_lenses_is_no_success(self, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert main(["check", "empty"]) == 1
        assert main(["check", "nowhere"]) == 1

    def test_the_shipped_lenses_are_sound(self) -> None:
        assert main(["check"]) == 0


def test_a_rubric_is_converted_and_can_be_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "wit.txt").write_text("Rate the wit from 1 to 3:\n{example}\nWit:")
    assert main(["convert", "wit.txt"]) == 0
    assert main(["show", "lenses/wit", "--text", "Ha!"]) == 0
    assert "Rate the wit from 1 to 3:\n<document>\nHa!\n</document>\nWit:" in capsys.readouterr().out
    assert main(["convert", "wit.txt", "--name", "Wit"]) == 1
