"""Why a record has no value, or one to be looked at twice."""

from enum import StrEnum


class State(StrEnum):
    """Stands in the value's place; only OVERFLOW may come with a value as well."""

    NOT_AVAILABLE = "not available"
    NO_DATA = "no data"
    OVERFLOW = "overflow"
    UNDERFLOW = "underflow"
    ERROR = "error"
    INVALID = "invalid"
