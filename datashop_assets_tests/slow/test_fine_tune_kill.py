"""A fine-tune that is killed by SIGKILL in the middle, and what it ends with."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datashop_assets.classifier.sequence_classification import files_digest
from datashop_assets_tests.tiny_text_models import make_tiny_bert
from resources.launchers import REPOSITORY

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
from pathlib import Path
from datashop_assets_tests.classifier.test_fine_tune import train
print(train(Path(sys.argv[1]), Path(sys.argv[2]), epochs=12).resumed_from)
"""


def start(base: Path, output: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(base), str(output)]
    return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def test_sigkill_in_the_middle_of_a_training_changes_nothing_of_its_outcome(tmp_path: Path) -> None:
    base = make_tiny_bert(tmp_path / "base", initializer_range=0.02)
    killed = start(base, tmp_path / "killed")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("killed.checkpoints/checkpoint-*/complete")):
        assert killed.poll() is None, "it was not killed yet"
        assert time.monotonic() < deadline, "it makes no checkpoint"
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert not (tmp_path / "killed").exists()
    said, _ = start(base, tmp_path / "killed").communicate(timeout=200)
    assert int(said) > 0, "it went on from a checkpoint"
    start(base, tmp_path / "whole").communicate(timeout=200)
    assert files_digest(tmp_path / "killed") == files_digest(tmp_path / "whole")
    assert not (tmp_path / "killed.checkpoints").exists()
