"""Why a record has no value."""

from enum import StrEnum


class State(StrEnum):
    """Stands in the value's place."""

    NOT_AVAILABLE = "not available"
    NO_DATA = "no data"
    OVERFLOW = "overflow"
    UNDERFLOW = "underflow"
    ERROR = "error"
    INVALID = "invalid"
