"""Standard streams that may be closed, full, or not able to write every letter."""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.errors import Permanent

NOWHERE = Path(os.devnull)
LOST = (errno.EPIPE, errno.ENOSPC)


class Unwritten(Permanent):
    """Nobody reads the output any more, or there is no room for it."""


@contextmanager
def forgiving() -> Iterator[None]:
    """What a command prints goes where it can. Raises Unwritten.

    A closed stream is replaced by one that nobody reads: else the next connection would get its
    number. What a terminal cannot write becomes a question mark; what cannot be read as text
    comes as surrogates.
    """
    sys.stdin = sys.stdin or NOWHERE.open(encoding="utf-8")
    sys.stdout = sys.stdout or NOWHERE.open("w", encoding="utf-8")
    sys.stderr = sys.stderr or NOWHERE.open("w", encoding="utf-8")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in LOST:
            raise
        _to_nowhere(sys.stdout)
        if error.errno == errno.EPIPE:  # which both may share, and which needs no word
            _to_nowhere(sys.stderr)
        raise Unwritten(f"the output cannot be written: {error.strerror}") from None


def _to_nowhere(stream: object) -> None:
    """What is still in the stream's buffer, and would fail again when the program ends."""
    if isinstance(stream, io.TextIOWrapper):
        nowhere = os.open(NOWHERE, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
