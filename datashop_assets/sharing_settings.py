"""What a project may say of what leaves it: classifiers that are pushed to a hub, figures that a tracker is told.

What belongs here: those settings; nothing leaves where they are not given. What does not: doing it (`resources/`),
tokens and addresses with passwords (`resources/profiles.py`).
"""

from pydantic import Field

from datashop_assets.settings import Settings


class PublishSettings(Settings):
    """Where a lens's classifier is pushed to when it is promoted. The token is HF_TOKEN in the environment."""

    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="on the model hub: owner/name; made if missing")
    private: bool = Field(True, description="of a repository that is made")


class TrackerSettings(Settings):
    """An MLflow store that is told each training's settings, figures and curve."""

    uri: str = Field(description="sqlite:///file, or http:// of a tracking server; credentials are MLFLOW_* variables")
    experiment: str | None = Field(None, description="null: the project's name")
