"""How far a command is, for who watches: one line on stderr, and nothing where nobody does."""

import sys


def show(text: str) -> None:
    """``text`` in the place of what stood in the line; nothing clears it."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


class Progress:
    """``of`` steps, shown while stderr is a terminal."""

    def __init__(self, of: int) -> None:
        self._of = of
        self._done = 0

    def step(self, what: str) -> None:
        """One more is done: ``what``."""
        self._done += 1
        show(f"{self._done}/{self._of} {what}" if self._done < self._of else "")

    def end(self) -> None:
        """The line is free again: for what does not come to its last step."""
        show("")
