"""Waiting for what really happens, instead of sleeping and hoping."""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")

STEP_S = 0.02
_never = threading.Event()


def eventually(condition: Callable[[], Seen], timeout_s: float = 20, what: str = "") -> Seen:
    """The first true value that ``condition`` gives; raises AssertionError after ``timeout_s``.

    An AssertionError out of ``condition`` counts as not yet, and is told when time is over.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            seen = condition()
            if seen:
                return seen
            last = f"it was {seen!r}"
        except AssertionError as error:
            last = str(error)
        if time.monotonic() >= deadline:
            raise AssertionError(f"{what or condition} did not happen in {timeout_s} s; {last}")
        _never.wait(STEP_S)
