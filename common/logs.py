"""Logging: one format on stderr; loggers ``inmetter.wire`` (hex), ``.frames`` and ``.events``."""

import logging
import sys
import time

events = logging.getLogger("inmetter.events")
frames = logging.getLogger("inmetter.frames")
wire = logging.getLogger("inmetter.wire")


def configure(level: str = "INFO") -> None:
    """Log to stderr in UTC. ``level`` is for events; frames and wire need DEBUG."""
    formatter = logging.Formatter(
        "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S"
    )
    formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("inmetter").setLevel(level.upper())
    # It warns at each poll of a device that is away; we say so once, when the state changes.
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
