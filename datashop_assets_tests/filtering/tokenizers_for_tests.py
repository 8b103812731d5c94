"""A tokenizer of a few words, for tests of token files."""

from pathlib import Path

from datashop_assets.tokens import TextTokenizer


def small_tokenizer(extra_words: int = 0) -> TextTokenizer:
    """Bytes as tokens, EOS as a special one; `extra_words` widen the vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: number for number, word in enumerate([*letters, *(f"<{n}>" for n in range(extra_words))])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="</s>")
    return TextTokenizer("small", tokenizer)


def save_as_model(folder: Path) -> str:
    """The small tokenizer in a folder that passes for a model's; returns its reference."""
    small_tokenizer().tokenizer.save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "llama"}')
    return str(folder)
