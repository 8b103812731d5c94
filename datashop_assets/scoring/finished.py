"""Models that were trained elsewhere, as scorers of texts.

What belongs here: from a project's settings to a scorer. What does not: finding the files (`resources/model_files.py`),
running the models (`classifier/sequence_classification.py`, `classifier/fasttext_scorer.py`), which documents are
scored (`texts.py`).
"""

from datashop_assets.classifier.fasttext_scorer import FastTextScorer, load_model
from datashop_assets.classifier.recipes import Scorer
from datashop_assets.classifier.sequence_classification import SequenceClassifier
from datashop_assets.finished_settings import FastTextModelSettings, SequenceClassificationSettings
from datashop_assets.seams import ModelFiles


def finished_scorer(
    settings: SequenceClassificationSettings | FastTextModelSettings, files: ModelFiles, threads: int | None = None
) -> Scorer:
    """The model as a scorer that reads texts; its `digest` is of the model's files and of what the score is.

    A fastText model is read now, a sequence-classification model at the first text. `predict` gives NaN where a
    fastText model knows nothing of a text. `threads` are torch's; null takes the cores that the process may use.
    Raises PermanentError where there is no such model, TextModelError and FastTextError where it is of another kind
    or has other labels.
    """
    if isinstance(settings, SequenceClassificationSettings):
        return SequenceClassifier(files.folder(settings.model, settings.revision), settings, threads)
    model = load_model(files.file(settings.model, settings.file, settings.revision))
    if settings.label is not None:
        return FastTextScorer(model, {settings.label: 1.0}, expected=False)
    return FastTextScorer(model, settings.label_values, expected=True)
