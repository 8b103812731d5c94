"""The demo's progress on the terminal: what assets say, without Dagster's event stream around it.

What belongs here: formatting of log records. What does not: running anything (`__main__.py`).
"""

import logging
import sys
import time

import dagster as dg


class _Terminal(logging.Handler):
    """One line a message: elapsed time since the process began, the step, the message."""

    def __init__(self) -> None:
        super().__init__()
        self.started = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        meta = getattr(record, "dagster_meta", {})
        event = meta.get("dagster_event")
        if event is not None and record.levelno < logging.ERROR:
            return
        message = meta.get("orig_message") or record.getMessage()
        elapsed = time.monotonic() - self.started
        step = meta.get("step_key") or "run"
        print(f"  {int(elapsed // 60):2d}:{elapsed % 60:04.1f}  {step}: {message}", file=sys.stderr, flush=True)  # noqa: T201


_TERMINAL = _Terminal()


@dg.logger(config_schema={}, description="Asset messages as short lines on the terminal.")
def terminal_logger(_: dg.InitLoggerContext) -> logging.Logger:
    """A logger that shows what assets say at INFO and above."""
    log = logging.getLogger("datashop.terminal")
    log.setLevel(logging.INFO)
    log.propagate = False
    log.handlers = [_TERMINAL]
    return log
