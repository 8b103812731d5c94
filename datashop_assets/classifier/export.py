"""A classifier as files that others load without this package, and get identical scores.

What belongs here: writing the model folder of a classifier that reads stored vectors. What does not: storing the folder
(`resources/`), the figures in it (`report.py`), the words on its card (`model_card.py`), the files of classifiers that
read texts, which are whole models (`fine_tune.py`, `fasttext_scorer.py`).

The folder is a sentence-transformers pipeline (transformer, pooling, normalisation, dense layers) and, where pooling
and head allow it, holds a native sequence-classification model beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datashop_assets.classifier.head import Head
from datashop_assets.classifier.layers import Activation, Layer, LayeredHead
from datashop_assets.classifier.model_card import model_card
from datashop_assets.classifier.recipes import Scorer
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
_TORCH_ACTIVATIONS: dict[Activation, str] = {
    "identity": "Identity",
    "tanh": "Tanh",
    "sigmoid": "Sigmoid",
    "softmax": "Softmax",
}
_SAFE = {"use_safetensors": True, "trust_remote_code": False}


@dataclass(frozen=True)
class Export:
    """What was written. `native` is None where the sequence-classification model was written, else why it was not."""

    directory: Path
    native: str | None


def export(
    directory: Path, encoder_dir: Path, settings: EncoderSettings, scorer: Scorer, lens: Lens, report: Report
) -> Export:
    """Write the model folder into `directory` (made where missing). A scorer that reads texts brings its own files,
    to which the report and the card are added.

    The pipeline computes in float32 throughout, while the tables' scores come from vectors stored as float16: those of
    a linear head differ by at most 1.2e-4 for unit-length mean vectors and 5.1e-4 for raw CLS vectors (110 texts,
    all-MiniLM-L6-v2).

    - `modules.json` and its folders: `SentenceTransformer(directory).encode(texts)` gives scores of shape [texts, 1];
    - `sequence_classification/`: `AutoModelForSequenceClassification`, one logit, the score;
    - `scorer.json` and `head.safetensors`: the head alone, which numpy can read (`layers.py`, `head.py`);
    - `report.json`; `README.md`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    native: str | None = "it reads texts with a model of its own, whose files these are"
    if scorer.reads == "vectors":
        layers = layers_of(scorer)
        _write_pipeline(directory, encoder_dir, settings, layers)
        native = why_not_native(encoder_dir, settings, layers)
        if native is None:
            _write_native(directory / NATIVE_FOLDER, encoder_dir, settings, layers)
    scorer.save(directory)
    (directory / REPORT_FILE).write_text(report.to_json(), encoding="utf-8")
    (directory / "README.md").write_text(model_card(settings, lens, report, native), encoding="utf-8")
    return Export(directory, native)


def load_report(directory: Path) -> Report:
    """The report of an exported model folder. Raises FileNotFoundError naming the file."""
    return Report.from_json((directory / REPORT_FILE).read_text(encoding="utf-8"))


def layers_of(scorer: Scorer) -> tuple[Layer, ...]:
    """A vector-reading scorer as dense layers. Raises TypeError for one that is not made of them."""
    if isinstance(scorer, Head):
        return (Layer(scorer.weights[None], np.array([scorer.bias], np.float32)),)
    if isinstance(scorer, LayeredHead):
        return scorer.layers
    raise TypeError(f"a scorer of the form {scorer.form!r} has no layers to export")


def why_not_native(encoder_dir: Path, settings: EncoderSettings, layers: Sequence[Layer]) -> str | None:
    """Why no sequence-classification model can express this classifier; None where one can."""
    from transformers import AutoConfig

    family = AutoConfig.from_pretrained(str(encoder_dir), trust_remote_code=False).model_type
    if family != "bert":
        return f"only BERT's classification head is known to hold a linear head, this encoder is of type {family!r}"
    if settings.pooling != "cls":
        return f"{settings.pooling} pooling cannot be expressed by BertForSequenceClassification, which takes CLS"
    if settings.windows != "first":
        return f"the {settings.windows} over several windows cannot be expressed by one pass over a text's beginning"
    if settings.normalize:
        return "normalisation to unit length cannot be expressed by BertForSequenceClassification"
    activations = [layer.activation for layer in layers]
    if activations == ["identity"]:
        return None
    if activations != ["tanh", "identity"]:
        return f"BertForSequenceClassification has a tanh layer before its output, this head has {activations[0]}"
    width, dimension = layers[0].weight.shape
    if width != dimension:
        return f"the pooler of this encoder has {dimension} values, this head's hidden layer {width}"
    return None


def _write_pipeline(directory: Path, encoder_dir: Path, settings: EncoderSettings, layers: Sequence[Layer]) -> None:
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Dense, Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    transformer = Transformer(
        str(encoder_dir), max_seq_length=settings.max_tokens, model_kwargs={"dtype": torch.float32, **_SAFE}
    )
    modules: list[Any] = [transformer, Pooling(layers[0].weight.shape[1], settings.pooling)]
    if settings.normalize:
        modules.append(Normalize())
    for layer in layers:
        weight, bias = torch.from_numpy(layer.weight.copy()), torch.from_numpy(layer.bias.copy())
        activation = getattr(torch.nn, _TORCH_ACTIVATIONS[layer.activation])()
        out, into = layer.weight.shape
        modules.append(Dense(into, out, activation_function=activation, init_weight=weight, init_bias=bias))
    pipeline = SentenceTransformer(modules=modules, device="cpu")
    pipeline.save_pretrained(str(directory), create_model_card=False, safe_serialization=True)


def _write_native(directory: Path, encoder_dir: Path, settings: EncoderSettings, layers: Sequence[Layer]) -> None:
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
    pooler, output = layers if len(layers) == 2 else _as_pooler_and_output(layers[0])
    with torch.no_grad():
        for module, layer in ((model.bert.pooler.dense, pooler), (model.classifier, output)):
            module.weight.copy_(torch.from_numpy(layer.weight.copy()))
            module.bias.copy_(torch.from_numpy(layer.bias.copy()))
    model.save_pretrained(str(directory))
    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    tokenizer.model_max_length = settings.max_tokens
    tokenizer.save_pretrained(str(directory))


def _as_pooler_and_output(linear: Layer) -> tuple[Layer, Layer]:
    dimension = linear.weight.shape[1]
    narrow = Layer(EPS * np.eye(dimension, dtype=np.float32), np.zeros(dimension, np.float32), "tanh")
    return narrow, Layer(linear.weight / np.float32(EPS), linear.bias)
