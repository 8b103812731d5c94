"""What a worker reports at its end, in a file, where the way of its messages does not carry long ones.

What belongs here: the file, as worker and launcher know it. What does not: what is reported (the workers).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The extra by which a launcher asks for a file: its path, which both see.
REPORT = "report"


def write_report(result: Mapping[str, Any], extras: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is to be sent: the result or, where the launcher asked for a file, the file that it now lies in."""
    if REPORT not in extras:
        return result
    Path(extras[REPORT]).write_text(json.dumps(dict(result)), encoding="utf-8")
    return {REPORT: extras[REPORT]}


def read_report(file: Path) -> Mapping[str, Any]:
    """The result that a worker left in the file, which is taken away."""
    result: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    file.unlink()
    return result
