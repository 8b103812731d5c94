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
    """Documents a second, the share of the measured bfloat16 matmul peak, and the ratio to transformers, by model.

    Exits with a message where torch finds no GPU, so that figures of a processor never pass for one's.
    """
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("torch finds no GPU here; leave --device out to measure the processors")
    texts = documents(QUICK_DOCUMENTS if quick else DOCUMENTS)
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    told: dict[str, Any] = {"n": len(texts), "rounds": ROUNDS, "gpus": ", ".join(gpus)}
    for name, (shape, pooling) in SHAPES.items():
        with tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), tokenizer, shape)
            settings = EncoderSettings(model=folder, max_tokens=512, pooling=pooling, precision="bfloat16")
            ours = TransformerEncoder(settings.model_copy(update={"backend": "packed"}))
            theirs = TransformerEncoder(settings.model_copy(update={"backend": "transformers"}))
            ratios, rates, shares = [], [], []
            for encoder in (ours, theirs):
                encoder.encode(texts[:512])
            for number in range(ROUNDS):
                # Every other round in reverse: what warms up or slows down does not favour one of them.
                before, seconds = ours.usage, {}
                for encoder in (ours, theirs)[:: -1 if number % 2 else 1]:
                    seconds[encoder] = _seconds(encoder, texts)
                ratios.append(seconds[theirs] / seconds[ours])
                rates.append(len(texts) / seconds[ours])
                shares.append((ours.usage - before).share_of_peak or 0.0)
        told |= {
            f"{name}_documents_per_s": round(statistics.median(rates), 1),
            f"{name}_share_of_peak": round(statistics.median(shares), 3),
            f"{name}_ratio": round(statistics.median(ratios), 2),
            f"{name}_ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
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
