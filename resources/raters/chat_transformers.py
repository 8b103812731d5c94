"""A chat model in this process: transformers on the CPU, for small models and machines without a server.

What belongs here: applying the chat template, generating, reading the probabilities of levels. What does not: loading
(`resources/language_models.py`), what is asked and how an answer is read (`datashop_assets/rating/`).

An answer's JSON schema cannot be enforced here: the model is asked for it in the prompt and what it wrote is read by
the tolerant parser. A served model (`chat_openai.py`, `vllm_server.py`) is held to the schema while it writes.
"""

import hashlib
import json
import re
import threading
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from datashop_assets.project import RaterSettings
from datashop_assets.rating.questions import Question, QuestionError, Reply
from datashop_assets.seams import PermanentError
from resources.language_models import ModelReferenceError, content_id, load_causal_lm, torch_threads
from resources.raters.chat_tokens import harmless, level_tokens, marker_pattern, token_ids, token_spans

# Raised by hand when the same model and question would give another answer.
RECIPE = 1
PRECISION = "float32"


class TransformersChatModel:
    """Behind `seams.ChatModel`: one question at a time; `settings.threads` is torch's number of threads meanwhile.

    The model is loaded by `start` or the first question. What a prompt has in common with the start of the one before
    is not computed again; the last digits of a logit may depend on that.
    """

    parallel = 1

    def __init__(self, settings: RaterSettings, cache: Path) -> None:
        self.settings = settings
        self.cache = cache
        self._turn = threading.Lock()
        self._loading = threading.Lock()
        self._levels: dict[tuple[str, ...], dict[str, list[int]]] = {}
        self._last: tuple[list[int], Any] | None = None

    @cached_property
    def id(self) -> str:
        """Content id of the model's files, its chat template among them, and of the precision; loads nothing."""
        content = [RECIPE, content_id(self.settings.model), PRECISION]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", Path(self.settings.model).name.removesuffix(".gguf"))
        return f"transformers-{name}-{digest}"

    def start(self) -> None:
        """Load the model. Raises PermanentError where it cannot be loaded or is no chat model."""
        _ = self._loaded

    def ask(self, question: Question) -> Reply:
        """Generate an answer, greedily at temperature 0, else sampled with the question's seed; or read the levels.

        The prompt is never cut: raises QuestionError `too_long` where it and the answer do not fit the model.
        """
        model, tokenizer, markers = self._loaded
        prompt = self._rendered(harmless(question.messages, markers))
        tokens = token_ids(tokenizer, prompt)
        wanted = 0 if question.levels else question.max_tokens
        context = model.config.get_text_config().max_position_embeddings
        if len(tokens) + wanted > context:
            raise QuestionError(
                "too_long",
                f"the prompt has {len(tokens)} tokens and the answer up to {wanted}, together more than the "
                f"{context} of {self.settings.model}; set the lens's chunking or max_chars lower",
            )
        with self._turn, torch_threads(self.settings.threads):
            return self._levels_of(question, tokens) if question.levels else self._answer(question, tokens)

    def token_spans(self, text: str) -> Sequence[tuple[int, int]]:
        """The character span of each token. Raises PermanentError where the model or its tokenizer cannot be used."""
        return token_spans(self._loaded[1], text)

    @property
    def _loaded(self) -> tuple[Any, Any, re.Pattern[str] | None]:
        with self._loading:
            return self._load_once

    @cached_property
    def _load_once(self) -> tuple[Any, Any, re.Pattern[str] | None]:
        try:
            model, tokenizer = load_causal_lm(self.settings.model, self.cache)
        except ModelReferenceError as error:
            raise PermanentError(str(error)) from error
        if not tokenizer.chat_template:
            raise PermanentError(
                f"model {self.settings.model!r} has no chat template, so it cannot be asked; use its instruct version"
            )
        return model, tokenizer, marker_pattern(tokenizer)

    def _rendered(self, messages: Sequence[dict[str, str]]) -> str:
        from jinja2 import TemplateError

        _, tokenizer, _ = self._loaded
        try:
            prompt: str = tokenizer.apply_chat_template(list(messages), add_generation_prompt=True, tokenize=False)
        except TemplateError as error:
            raise PermanentError(
                f"the chat template of {self.settings.model} refuses messages with the roles "
                f"{[message['role'] for message in messages]}: {error}"
            ) from error
        return prompt

    def _levels_of(self, question: Question, tokens: list[int]) -> Reply:
        """The levels' log-probabilities among all tokens, at the place of the answer's first one; one prefill."""
        import torch

        model, tokenizer, _ = self._loaded
        if question.levels not in self._levels:
            self._levels[question.levels] = level_tokens(tokenizer, question.levels)
        shared, cache = self._shared_start(tokens)
        with torch.inference_mode():
            rest = torch.tensor([tokens[shared:]])
            logits = model(input_ids=rest, past_key_values=cache, use_cache=True, logits_to_keep=1).logits
            logprobs = torch.log_softmax(logits[0, -1].double(), dim=0)
            found = {
                level: float(torch.logsumexp(logprobs[ids], dim=0))
                for level, ids in self._levels[question.levels].items()
            }
        self._last = (tokens, cache)
        return Reply(max(found, key=lambda level: found[level]), "stop", len(tokens), 0, found)

    def _answer(self, question: Question, tokens: list[int]) -> Reply:
        import torch

        model, tokenizer, _ = self._loaded
        ends = self._ends
        _, cache = self._shared_start(tokens)
        # Named, lest they come from the model's own generation settings: some bring a top_k or a penalty.
        manner: dict[str, Any] = {"do_sample": question.temperature > 0, "num_beams": 1, "repetition_penalty": 1.0}
        if question.temperature > 0:
            manner |= {"temperature": question.temperature, "top_p": question.top_p, "top_k": 0}
        prompt = torch.tensor([tokens])
        with torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(question.seed)
            written = model.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                past_key_values=cache,
                max_new_tokens=question.max_tokens,
                eos_token_id=ends,
                pad_token_id=ends[0],
                **manner,
            )[0].tolist()
        self._last = (written[: cache.get_seq_length()], cache)
        answer = written[len(tokens) :]
        text = tokenizer.decode(answer, skip_special_tokens=True)
        return Reply(text, "stop" if answer[-1] in ends else "length", len(tokens), len(answer))

    @cached_property
    def _ends(self) -> list[int]:
        """The tokens that end an answer: the tokenizer's, and those of the model's generation settings."""
        model, tokenizer, _ = self._loaded
        own = model.generation_config.eos_token_id
        listed = own if isinstance(own, list) else [own]
        return sorted({end for end in [tokenizer.eos_token_id, *listed] if end is not None})

    def _shared_start(self, tokens: list[int]) -> tuple[int, Any]:
        """How many tokens the prompt's start shares with the last one, and the keys and values of these.

        The last prompt's cache is cut back and used up. At least one token is left to compute. A cache that forgets
        (sliding windows) cannot be cut back and is never used again.
        """
        from transformers.cache_utils import DynamicCache, DynamicLayer

        model, _, _ = self._loaded
        last, self._last = self._last, None
        if last is not None and all(type(layer) is DynamicLayer for layer in last[1].layers):
            before, cache = last
            shared = 0
            for mine, theirs in zip(tokens[:-1], before, strict=False):
                if mine != theirs:
                    break
                shared += 1
            if shared:
                cache.crop(shared - len(before))
                return shared, cache
        return 0, DynamicCache(config=model.config)
