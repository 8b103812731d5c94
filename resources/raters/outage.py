"""An endpoint that was reached and no longer answers: waited for, by all who ask it at once.

What belongs here: when to look again, and when to give up. What does not: how one looks, and what an error means
(`chat_openai.py`).
"""

import logging
import threading
import time
from collections.abc import Callable

from resources.raters.endpoint_errors import RaterEndpointError, RaterRefusedError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 15.0

log = logging.getLogger(__name__)


class Outage:
    """`look` raises RaterEndpointError while the endpoint does not answer; it is waited for `patience_s` seconds."""

    def __init__(self, look: Callable[[], None], patience_s: float) -> None:
        self._look = look
        self._patience_s = patience_s
        self._one_looks = threading.Lock()
        self._given_up: tuple[float, str] = -1.0, ""

    def sit_out(self) -> bool:
        """Return once the endpoint answers: whether it did not at first.

        One thread looks, the others wait for it. Raises RaterEndpointError where patience ends, to those who waited as
        well, and RaterRefusedError at once.
        """
        begun, pause, away = time.monotonic(), FIRST_PAUSE_S, False
        with self._one_looks:
            if self._given_up[0] > begun:
                raise RaterEndpointError(self._given_up[1])
            while True:
                try:
                    self._look()
                except RaterRefusedError:
                    raise
                except RaterEndpointError as error:
                    if time.monotonic() - begun + pause > self._patience_s:
                        self._given_up = time.monotonic(), str(error)
                        raise
                    if not away:
                        log.warning("%s. It is waited for, up to %.0f s.", error, self._patience_s)
                    away = True
                    time.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE_S)
                else:
                    # Those who waited for the lock found nothing wrong, but the endpoint was away meanwhile.
                    return away or time.monotonic() - begun > FIRST_PAUSE_S
