"""The base of every group of settings.

What belongs here: what all groups have in common. What does not: any group (`project.py`, `selection_settings.py`).
"""

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """A frozen group of settings; an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def version(self) -> str:
        """Content id: equal settings have equal versions."""
        return hashlib.sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:16]
