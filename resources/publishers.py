"""Publishers: model folders on the Hugging Face hub, or only remembered.

What belongs here: pushing a folder. What does not: which folders are pushed, and which of their files
(`datashop_assets/classifier/sharing.py`).
"""

from dataclasses import dataclass, field
from pathlib import Path

from datashop_assets.seams import PermanentError


class PublishError(PermanentError):
    """A push that a person has to enable; the message says how."""


@dataclass(frozen=True)
class HubPublisher:
    """`seams.Publisher` on the Hugging Face hub, or one that speaks its protocol (`endpoint`). Needs a token."""

    token: str | None = field(default=None, repr=False)
    endpoint: str | None = None

    def publish(self, repository: str, folder: Path, private: bool, message: str) -> str:
        """See `seams.Publisher`. Raises PublishError without a token, or where the hub refuses it."""
        if self.token is None:
            raise PublishError(f"to publish to {repository}, set HF_TOKEN to a token that may write there")
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

        api = HfApi(endpoint=self.endpoint, token=self.token)
        try:
            api.create_repo(repository, private=private, exist_ok=True)
            # What the hub has and the folder lacks is of an earlier classifier.
            commit = api.upload_folder(
                repo_id=repository, folder_path=folder, commit_message=message, delete_patterns="*"
            )
        except OfflineModeIsEnabled as error:
            raise PublishError(f"{repository} cannot be published to while HF_HUB_OFFLINE is set") from error
        except HfHubHTTPError as error:
            if error.response is not None and error.response.status_code in (401, 403, 404):
                raise PublishError(f"the hub refuses to publish to {repository}: {error}; look at HF_TOKEN") from error
            raise
        return str(commit.commit_url)


@dataclass(frozen=True)
class ScriptedPublisher:
    """For tests: remembers the names of the files of each repository in `published`."""

    published: dict[str, list[str]] = field(default_factory=dict)

    def publish(self, repository: str, folder: Path, private: bool, message: str) -> str:  # noqa: ARG002
        self.published[repository] = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
        return f"scripted://{repository}"
