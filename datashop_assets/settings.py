"""The base of every group of settings.

What belongs here: what all groups have in common. What does not: any group (`project.py`, `selection_settings.py`).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen group of settings; an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def version(self) -> str:
        """Content id: equal settings have equal versions."""
        return content_version(self.model_dump(mode="json"))


def content_version(values: Mapping[str, Any]) -> str:
    """The version of settings with these values, JSON-able: 16 hex digits."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:16]
