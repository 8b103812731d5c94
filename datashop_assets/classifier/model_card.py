"""The card of an exported classifier: what it is, how to load it, how good it is.

What belongs here: the words. What does not: the files beside it (`export.py`).
"""

from datashop_assets.classifier.recipes import TEXT_ENCODER
from datashop_assets.classifier.report import Report
from datashop_assets.classifier.report_sections import sections
from datashop_assets.classifier.text_model_card import use_without_us
from datashop_assets.encoder_settings import EncoderSettings
from datashop_assets.markdown import figures_table
from datashop_assets.rating.lens import Lens

_SCORE = "The score is real-valued and not clipped; round it half to even and clip it for an integer score."


def model_card(settings: EncoderSettings, lens: Lens, report: Report, native: str | None) -> str:
    """The README.md of the model folder. `native` is why there is no sequence-classification model, or None; it and the
    encoder's `settings` say nothing of a classifier that reads texts."""
    counts = report.counts
    chosen = ", ".join(f"{name} = {value}" for name, value in report.chosen.items()) or "none were made"
    lines = [
        "---",
        *(["library_name: sentence-transformers"] if report.encoder != TEXT_ENCODER else []),
        "pipeline_tag: text-classification",
        f"tags: [text-quality, regression, {lens.name}]",
        "---",
        f"# {lens.title}: classifier {report.classifier}",
        "",
        f"Predicts the score that a rater gives a document through the lens `{lens.name}`, on a scale from {lens.low} "
        f"to {lens.high}: {lens.description}",
        "",
        *(_of_texts(report) if report.encoder == TEXT_ENCODER else _of_vectors(settings, report, native)),
        "",
        "## Quality",
        f"Trained on {counts.train + counts.validation} rated texts ({counts.validation} of them for "
        f"choices: {chosen}), measured on {counts.held_out} held-out texts that are chosen by a hash "
        f"of the text. {counts.without_score} rows without a score were left out, {counts.repeats} repeats of a text "
        "merged. The labels are a rater's judgements: agreement with them is not agreement with people.",
        "",
        f"Verdict: **{'passed' if report.verdict.passed else 'failed'}**. {'; '.join(report.verdict.reasons)}.",
        "",
        figures_table(report.figures, report.notes),
        "",
        f"`mae_mean` and `mae_length` are baselines that read no text. Positive means a rounded score of at least "
        f"{report.positive_at:g}.",
    ]
    for title, text in sections(report.quality).items() if report.quality is not None else ():
        lines += ["", f"### {title.capitalize()}", text]
    return "\n".join(lines) + "\n"


def _windows(settings: EncoderSettings) -> list[str]:
    if settings.windows == "first":
        return []
    return [
        "",
        f"It was trained on the {settings.windows} over up to {settings.most_windows} windows of {settings.max_tokens} "
        "tokens each; **the pipeline in this folder reads the first window alone**, so that it scores longer texts "
        "otherwise. `datashop` reads them all.",
    ]


def _of_vectors(settings: EncoderSettings, report: Report, native: str | None) -> list[str]:
    """What it is and how to use it, of a head on the encoder."""
    lines = [
        f"A {report.model} head on the frozen encoder `{report.encoder}` ({settings.pooling} pooling, "
        f"{'unit length' if settings.normalize else 'not normalised'}, the first {settings.tokens_read} tokens of a "
        f"text). {_SCORE}",
        *_windows(settings),
        "",
        "## Use",
        "```python",
        "from sentence_transformers import SentenceTransformer",
        "",
        'scores = SentenceTransformer("<this folder>").encode(["a document", "another"])[:, 0]',
        "```",
    ]
    if native is None:
        lines += [
            "or, without sentence-transformers:",
            "```python",
            "from transformers import AutoModelForSequenceClassification, AutoTokenizer",
            "",
            'folder = "<this folder>/sequence_classification"',
            "model = AutoModelForSequenceClassification.from_pretrained(folder)",
            "tokenizer = AutoTokenizer.from_pretrained(folder)",
            'batch = tokenizer(["a document"], truncation=True, padding=True, return_tensors="pt")',
            "scores = model(**batch).logits[:, 0]",
            "```",
        ]
    else:
        lines += [f"There is no native sequence-classification model: {native}."]
    lines += [
        "`scorer.json` and `head.safetensors` hold the head alone, for vectors of your own. Of a linear head: `weight` "
        "and `bias`, score = vector · weight + bias. Of others: `layers.0.weight` [out, in] and `layers.0.bias`, then "
        "`layers.1`; the `activations` of the layers stand in `scorer.json`, and the last layer's value is the score."
    ]
    return lines


def _of_texts(report: Report) -> list[str]:
    """What it is and how to use it, of a whole model."""
    return [
        f"A {report.model} model that reads texts itself; its files are in this folder. {_SCORE}",
        "",
        "## Use",
        "```python",
        "from pathlib import Path",
        "",
        "from datashop_assets.classifier.known_recipes import load_scorer",
        "",
        'scores = load_scorer(Path("<this folder>")).predict(["a document", "another"])',
        "```",
        *use_without_us(report.model),
    ]
