"""What a project may say of a classifier's quality report.

What belongs here: the settings, checked and frozen. What does not: the report (the classifier stage).
"""

from pydantic import Field

from datashop_assets.settings import Settings


class ReportSettings(Settings):
    """What of the report trains the recipe again, and so costs its time: null is as given for models that read stored
    vectors, and nothing for models that read texts."""

    learning_curve_points: int | None = Field(
        None, ge=0, le=10, description="all annotations, half of them, a quarter, ...; 0: no learning curve; null: 4"
    )
    learning_curve_draws: int = Field(5, ge=2, le=50, description="random subsets at each point but the last")
    calibration_folds: int | None = Field(
        None, ge=0, le=20, description="classifiers that score the rows which calibrate; 0: no calibration; null: 5"
    )
