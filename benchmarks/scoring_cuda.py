"""`python -m benchmarks.scoring --device cuda`: encoders of three sizes on a GPU, in bfloat16.

Random weights in the shapes of all-MiniLM-L6-v2, snowflake-arctic-embed-m and gte-base (BERT's base shape both; the
second pools the first token), and this machine's tokenizer. Beside the packed rows of this project, transformers' own
forward pass on length-sorted batches in bfloat16. Documents of 512 tokens at most.
"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.scoring_texts import documents
from datashop_assets.encoder_settings import EncoderSettings
from resources.encoders import TransformerEncoder

SHAPES: dict[str, tuple[dict[str, int], str]] = {
    "minilm": (
        {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
        "mean",
    ),
    "arctic_embed_m": (
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
        "cls",
    ),
    "gte_base": (
        {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072},
        "mean",
    ),
}
DOCUMENTS, QUICK_DOCUMENTS, ROUNDS = 20_000, 4_000, 5


def measure(tokenizer: Path, quick: bool) -> dict[str, Any]:
    """Documents a second, the share of the measured bfloat16 matmul peak, and the ratio to transformers, by model."""
    texts = documents(QUICK_DOCUMENTS if quick else DOCUMENTS)
    told: dict[str, Any] = {"n": len(texts), "rounds": ROUNDS}
    for name, (shape, pooling) in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), tokenizer, shape)
            settings = EncoderSettings(model=folder, max_tokens=512, pooling=pooling, precision="bfloat16")
            ours = TransformerEncoder(settings.model_copy(update={"backend": "packed"}))
            theirs = TransformerEncoder(settings.model_copy(update={"backend": "transformers"}))
            ratios, rates, shares = [], [], []
            for encoder in (ours, theirs):
                encoder.encode(texts[:512])
            for _ in range(ROUNDS):
                before = ours.usage
                mine = _seconds(ours, texts)
                ratios.append(_seconds(theirs, texts) / mine)
                rates.append(len(texts) / mine)
                shares.append((ours.usage - before).share_of_peak or 0.0)
        told |= {
            f"{name}_documents_per_s": round(statistics.median(rates), 1),
            f"{name}_share_of_peak": round(statistics.median(shares), 3),
            f"{name}_ratio": round(statistics.median(ratios), 2),
        }
    return told


def _write(folder: Path, tokenizer: Path, shape: dict[str, int]) -> None:
    from transformers import AutoTokenizer, BertConfig, BertModel

    words = AutoTokenizer.from_pretrained(str(tokenizer))
    words.save_pretrained(folder)
    BertModel(BertConfig(vocab_size=len(words), **shape)).save_pretrained(folder)


def _seconds(encoder: TransformerEncoder, texts: list[str]) -> float:
    begun = time.perf_counter()
    encoder.encode(texts)
    return time.perf_counter() - begun
