"""A classifier as files that others load without this package, and get identical scores.

What belongs here: writing the model folder, reading its head back. What does not: storing the folder
(`resources/`), the figures in it (`report.py`), the words on its card (`model_card.py`).

The folder is a sentence-transformers pipeline (transformer, pooling, normalisation, dense) and, where the pooling
allows it, holds a native sequence-classification model beside it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datashop_assets.classifier.head import Head
from datashop_assets.classifier.model_card import model_card
from datashop_assets.classifier.report import Report
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.rating.lens import Lens

REPORT_FILE, NATIVE_FOLDER = "report.json", "sequence_classification"
# BERT's classification head is classifier(tanh(dense(CLS))). With dense = eps * identity and classifier = weights / eps
# it is the linear head but for the relative error (eps * x)^2 / 3 of tanh. A power of two scales floats exactly, so the
# smaller the better in float32; but below 2^-14 float16 loses digits. At 2^-12 and |x| <= 10 (BERT's outlier
# dimensions) the error is 2e-6, and a value of 0.25 is still a normal float16. Largest difference to our scores of
# 37 texts with CLS vectors of all-MiniLM-L6-v2: 2.1e-4 at 2^-8, 1.3e-5 at 2^-10, 1.7e-6 at 2^-12, 9.5e-7 from 2^-16 on.
EPS = 2.0**-12
_SAFE = {"use_safetensors": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Export:
    """What was written. `native` is None where the sequence-classification model was written, else why it was not."""

    directory: Path
    native: str | None


def export(
    directory: Path, encoder_dir: Path, settings: EncoderSettings, head: Head, lens: Lens, report: Report
) -> Export:
    """Write the model folder into `directory` (made where missing).

    It computes in float32 throughout, while the tables' scores come from vectors stored as float16: those differ by at
    most 1.2e-4 for unit-length mean vectors and 5.1e-4 for raw CLS vectors (110 texts, all-MiniLM-L6-v2).

    - `modules.json` and its folders: `SentenceTransformer(directory).encode(texts)` gives scores of shape [texts, 1];
    - `sequence_classification/`: `AutoModelForSequenceClassification`, one logit, the score;
    - `head.safetensors`: `weight` [dimension] and `bias` [1] for encoders of one's own; `report.json`; `README.md`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _write_pipeline(directory, encoder_dir, settings, head)
    head.save(directory)
    native = why_not_native(encoder_dir, settings)
    if native is None:
        _write_native(directory / NATIVE_FOLDER, encoder_dir, settings, head)
    (directory / REPORT_FILE).write_text(report.to_json(), encoding="utf-8")
    (directory / "README.md").write_text(model_card(settings, lens, report, native), encoding="utf-8")
    return Export(directory, native)


def load_report(directory: Path) -> Report:
    """The report of an exported model folder. Raises FileNotFoundError naming the file."""
    return Report.from_json((directory / REPORT_FILE).read_text(encoding="utf-8"))


def why_not_native(encoder_dir: Path, settings: EncoderSettings) -> str | None:
    """Why no sequence-classification model can express this classifier; None where one can."""
    from transformers import AutoConfig

    family = AutoConfig.from_pretrained(str(encoder_dir), trust_remote_code=False).model_type
    if family != "bert":
        return f"only BERT's classification head is known to hold a linear head, this encoder is of type {family!r}"
    if settings.pooling != "cls":
        return f"{settings.pooling} pooling cannot be expressed by BertForSequenceClassification, which takes CLS"
    if settings.normalize:
        return "normalisation to unit length cannot be expressed by BertForSequenceClassification"
    return None


def _write_pipeline(directory: Path, encoder_dir: Path, settings: EncoderSettings, head: Head) -> None:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    transformer = Transformer(
        str(encoder_dir), max_seq_length=settings.max_tokens, model_kwargs={"dtype": torch.float32, **_SAFE}
    )
    dimension = len(head.weights)
    modules: list[Any] = [transformer, Pooling(dimension, settings.pooling)]
    if settings.normalize:
        modules.append(Normalize())
    weights, bias = torch.from_numpy(head.weights.copy()), torch.tensor([head.bias])
    modules.append(
        Dense(dimension, 1, activation_function=torch.nn.Identity(), init_weight=weights.unsqueeze(0), init_bias=bias)
    )
    pipeline = SentenceTransformer(modules=modules, device="cpu")
    pipeline.save_pretrained(str(directory), create_model_card=False, safe_serialization=True)


def _write_native(directory: Path, encoder_dir: Path, settings: EncoderSettings, head: Head) -> None:
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer

    source = str(encoder_dir)
    config = AutoConfig.from_pretrained(
        source,
        num_labels=1,
        id2label={0: "score"},
        label2id={"score": 0},
        problem_type="regression",
        trust_remote_code=False,
    )
    model: Any = AutoModelForSequenceClassification.from_config(  # type: ignore[no-untyped-call]
        config, dtype=torch.float32
    )
    encoder = AutoModel.from_pretrained(source, dtype=torch.float32, **_SAFE)
    model.bert.load_state_dict(encoder.state_dict())
    with torch.no_grad():
        model.bert.pooler.dense.weight.copy_(EPS * torch.eye(len(head.weights)))
        model.bert.pooler.dense.bias.zero_()
        model.classifier.weight.copy_(torch.from_numpy(head.weights / EPS).unsqueeze(0))
        model.classifier.bias.fill_(head.bias)
    model.save_pretrained(str(directory))
    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    tokenizer.model_max_length = settings.max_tokens
    tokenizer.save_pretrained(str(directory))
