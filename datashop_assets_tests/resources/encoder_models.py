"""Small encoders with random weights, of several architectures, for tests of the forward passes."""

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SHAPE = {
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_hidden_layers": 3,
    "intermediate_size": 48,
    "max_position_embeddings": 130,
    "vocab_size": 400,
}
CORPUS = [
    "the red fox jumps over the lazy dog",
    "def read(path): return open(path).read()",
    "漢字 and 12,345.67 <b>!</b>",
]


def small_model(kind: str, **changes: Any) -> Any:
    """A model of one of transformers' types, in evaluation mode."""
    import torch
    from transformers import AutoConfig, AutoModel

    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(kind, **{**SHAPE, "pad_token_id": 0, **changes}))
    with torch.no_grad():
        for weights in model.parameters():
            weights.add_(torch.randn_like(weights) * 0.05)  # biases and norms that are not all zero or one
    return model.eval()


def tokenizer(kind: str) -> Any:
    """A trained tokenizer of a family, as transformers wraps it."""
    from transformers import PreTrainedTokenizerFast

    made: Any
    trainer: Any
    if kind == "wordpiece":
        made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.normalizer = normalizers.BertNormalizer()
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=SPECIAL, show_progress=False)
    elif kind == "bytes":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        )
    else:
        made = Tokenizer(models.Unigram())
        made.normalizer = normalizers.NFKC()
        made.pre_tokenizer = pre_tokenizers.Metaspace(split=kind == "unigram")
        trainer = trainers.UnigramTrainer(
            vocab_size=400, special_tokens=SPECIAL, unk_token="[UNK]", show_progress=False
        )
    made.train_from_iterator(CORPUS * 5, trainer)
    ends = [("[CLS]", made.token_to_id("[CLS]")), ("[SEP]", made.token_to_id("[SEP]"))]
    made.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    names = dict(zip(["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"], SPECIAL, strict=True))
    return PreTrainedTokenizerFast(tokenizer_object=made, **names)


def model_folder(folder: Path, kind: str, **changes: Any) -> Path:
    """A folder that an encoder loads: a small model and the WordPiece tokenizer."""
    small_model(kind, **changes).save_pretrained(folder)
    tokenizer("wordpiece").save_pretrained(folder)
    return folder
