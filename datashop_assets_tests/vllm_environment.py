"""Where a real vLLM is, for the tests that start one. There is none in continuous integration."""

import os
from pathlib import Path

import pytest

BUILT = Path(__file__).resolve().parent.parent / ".venv-vllm" / "bin" / "python"


def vllm_python() -> str:
    """The interpreter that DATASHOP_VLLM_PYTHON names, or the one of `make vllm-env`; skips the test without either."""
    named = os.environ.get("DATASHOP_VLLM_PYTHON")
    if named:
        return named
    if not BUILT.exists():
        pytest.skip("no vLLM here: `make vllm-env` builds .venv-vllm, or name an interpreter in DATASHOP_VLLM_PYTHON")
    return str(BUILT)
