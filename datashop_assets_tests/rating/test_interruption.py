"""A real process, cancelled or killed while it rates: the next one is asked for the rest."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from datashop_assets_tests.rating.rate_slowly import COUNT, rate
from resources.raters.scripted import ScriptedRater
from resources.staging import FolderProgress

ROOT = Path(__file__).resolve().parents[2]
AT = 13


@pytest.mark.parametrize(
    ("how", "lost"),
    [
        pytest.param(signal.SIGINT, 1, id="cancelled: all but the document under way"),
        pytest.param(signal.SIGKILL, 5, id="killed: at most a group, of five here"),
    ],
)
def test_what_was_rated_before_the_end_is_not_asked_again(how: signal.Signals, lost: int, tmp_path: Path) -> None:
    script = [sys.executable, "-m", "datashop_assets_tests.rating.rate_slowly", str(tmp_path / "kept")]
    with subprocess.Popen(script, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        begun = [process.stdout.readline() for _ in range(AT)]
        process.send_signal(how)
        begun += process.stdout.readlines()
        process.communicate(timeout=60)
    assert process.returncode != 0
    kept = FolderProgress(tmp_path / "kept").scan()
    assert kept is not None
    assert kept.collect().height >= len(begun) - lost
    rater = ScriptedRater(lambda _: 3.0)
    rows = rate(tmp_path / "kept", rater)
    assert rows["id"].to_list() == [f"d{n}" for n in range(COUNT)]
    assert len(rater.asked) <= COUNT - len(begun) + lost
