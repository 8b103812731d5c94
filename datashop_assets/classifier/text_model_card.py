"""How others use a classifier that reads texts: code for its card, without this package.

What belongs here: those examples, which tests run. What does not: the rest of the card (`model_card.py`).
"""

from collections.abc import Mapping

# By the recipe's kind. `<this folder>` stands for where the model lies, `texts` for documents.
EXAMPLES: Mapping[str, tuple[str, str]] = {
    "fasttext": (
        "The score is the expected class under the labels' probabilities. `datashop` reads the first characters of a "
        "text alone, as many as `max_chars` in `scorer.json` says, and hides words that look like labels.",
        """import fasttext

model = fasttext.load_model("<this folder>/model.bin")

def score(text):
    labels, shares = model.predict(text[:10_000].replace("\\n", " "), k=-1)
    classes = [float(label.removeprefix("__label__")) for label in labels]
    return sum(value * share for value, share in zip(classes, shares)) / sum(shares)

scores = [score(text) for text in texts]""",
    ),
    "fine_tune": (
        "The tokenizer cuts texts where training did.",
        """import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("<this folder>")
model = AutoModelForSequenceClassification.from_pretrained("<this folder>").eval()
batch = tokenizer(texts, truncation=True, padding=True, return_tensors="pt")
with torch.inference_mode():
    scores = model(**batch).logits[:, 0].tolist()""",
    ),
}


def use_without_us(model: str) -> list[str]:
    """Lines of Markdown for the card of a classifier of that recipe's kind; none where it has no example."""
    if model not in EXAMPLES:
        return []
    words, code = EXAMPLES[model]
    return [f"or, without datashop: {words}", "```python", *code.splitlines(), "```"]
