"""Examples of the logs of messages and of telegrams, for OpenAPI."""

from typing import Any

Example = dict[str, Any]

MESSAGE: Example = {
    "id": "1780401480000-8123",
    "received_at": "2026-06-02T11:58:00Z",
    "kind": "journal",
    "stream": "0f5c2d6c1a9b4e0e8f7a6b5c4d3e2f10",
    "first": 4301,
    "last": 4320,
    "outcome": "stored",
    "size": 412,
}
SAID_READING: Example = {
    "no": 2,
    "device": "cold-water",
    "register": "volume",
    "value": "1234.567",
    "quality": "good",
    "raw": 1_234_567,
}
MESSAGE_ENTRY: Example = {
    "seq": 4301,
    "at": "2026-06-02T11:57:58.500000Z",
    "readings": [SAID_READING],
    "body": None,
    "problem": "",
}
OPENED_MESSAGE: Example = {
    "message": MESSAGE,
    "count": 20,
    "entries": [MESSAGE_ENTRY],
    "body": None,
    "problem": "",
}
TELEGRAM: Example = {
    "at": "2026-06-02T11:57:58.500000Z",
    "protocol": "mbus",
    "frame": "6815156808057278563412931533072a0000000c13652501004916",
    "received_at": "2026-06-02T11:58:00Z",
}

OF_MESSAGES: dict[str, Example] = {
    "Message": MESSAGE,
    "SaidReading": SAID_READING,
    "MessageEntry": MESSAGE_ENTRY,
    "OpenedMessage": OPENED_MESSAGE,
    "Telegram": TELEGRAM,
}
"""By the model's name."""
