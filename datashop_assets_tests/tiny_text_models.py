"""Sequence-classification models small enough for tests: random weights, a word-level tokenizer."""

from collections.abc import Sequence
from pathlib import Path

WORDS = ("because", "explains", "therefore", "example", "click", "cookies", "login", "banner")


def make_tiny_bert(
    folder: Path,
    labels: Sequence[str] = (),
    positions: int = 64,
    initializer_range: float = 0.5,
    **config_values: object,
) -> Path:
    """A BERT of two layers of 32 with these labels (none: an encoder with one output); the same weights each time."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer = Tokenizer(models.WordLevel({word: row for row, word in enumerate([*special, *WORDS])}, "[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=positions,
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(special) + len(WORDS),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=positions,
        num_labels=len(labels) or 1,
        initializer_range=initializer_range,
        **config_values,
    )
    if labels:
        config.id2label, config.label2id = dict(enumerate(labels)), {label: row for row, label in enumerate(labels)}
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder
