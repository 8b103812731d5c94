"""The MMLU development questions that lm-eval ships: asked by the evaluation, and kept out of what is trained on.

What belongs here: reading them from the installed lm-eval, which is not imported for it. What does not: asking them
(`evaluation/tasks.py`), looking for them in documents (`deduplication/contamination.py`).
"""

import importlib.util
import json
import re
from dataclasses import dataclass
from pathlib import Path

from datashop_assets.lineage import stable_fraction

MMLU_FILE = "tasks/mmlu/flan_cot_fewshot/_cot_prompts.json"
LETTERS = "ABCD"

_QUESTION = re.compile(
    r"Q: (?P<question>.+?)\s*\n\(A\) (?P<A>.+?)\s*\(B\) (?P<B>.+?)\s*\(C\) (?P<C>.+?)\s*\(D\) (?P<D>.+?)"
    r"\nA: .*The answer is \((?P<answer>[A-D])\)",
    re.DOTALL,
)


@dataclass(frozen=True)
class Question:
    """A multiple-choice question; `answer` is the position of the right choice."""

    id: str
    subject: str
    question: str
    choices: tuple[str, ...]
    answer: int


def mmlu_questions(count: int | None, seed: int = 0) -> tuple[Question, ...]:
    """MMLU development questions that lm-eval ships as worked examples, `count` of them by seeded hash (None: all).

    Of the 282 examples of 57 subjects 281 have four options; the one with five is left out. A smaller count is a
    part of a larger one. Raises FileNotFoundError where the installed lm-eval does not carry the file.
    """
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("lm-eval is not installed; install datashop[evaluate]")
    file = Path(spec.submodule_search_locations[0]) / MMLU_FILE
    if not file.is_file():
        raise FileNotFoundError(f"this lm-eval has no {MMLU_FILE}; install lm-eval==0.4.13 or set mmlu_questions: 0")
    prompts: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    questions = [question for subject, prompt in prompts.items() for question in parse_prompt(subject, prompt)]
    questions.sort(key=lambda question: stable_fraction(f"mmlu:{seed}:{question.id}"))
    return tuple(questions[:count])


def parse_prompt(subject: str, prompt: str) -> list[Question]:
    """The four-option questions of one subject's worked examples."""
    questions = []
    for position, block in enumerate(re.split(r"\n\n(?=Q: )", prompt)[1:]):
        match = _QUESTION.match(block)
        if match is None or "(E)" in match["D"]:
            continue
        questions.append(
            Question(
                f"{subject}/{position}",
                subject.replace("_", " "),
                match["question"].strip(),
                tuple(match[letter].strip() for letter in LETTERS),
                LETTERS.index(match["answer"]),
            )
        )
    return questions
