"""What a project may say of a classifier's quality report.

What belongs here: the settings, checked and frozen. What does not: the report (the classifier stage).
"""

from pydantic import Field

from datashop_assets.settings import Settings


class ReportSettings(Settings):
    """What of the report trains the recipe again, and so costs its time."""

    learning_curve_points: int | None = Field(
        None,
        ge=0,
        le=10,
        description="all annotations, half of them, a quarter, ...; 0: no learning curve; null: 4 for linear, ordinal "
        "and softmax models, none for those that take longer",
    )
    learning_curve_draws: int = Field(5, ge=2, le=50, description="random subsets at each point but the last")
    calibration_folds: int | None = Field(
        None,
        ge=0,
        le=20,
        description="so many classifiers score the rows that calibrate, each those that it did not learn from; "
        "0: no calibration; null: 5 for linear, ordinal and softmax models, the validation rows for models that only "
        "choose a checkpoint on them, none for fasttext",
    )
