"""What settings must be like, beyond what their types say."""

from decimal import Decimal


def positive(name: str, value: Decimal) -> None:
    """Raises ValueError, which becomes the settings' error, unless the value is above 0."""
    if not (value.is_finite() and value > 0):
        raise ValueError(f"{name}: expected a number above 0, not {value}")


def not_negative(name: str, value: Decimal) -> None:
    """Raises ValueError, which becomes the settings' error, unless the value is 0 or more."""
    if not (value.is_finite() and value >= 0):
        raise ValueError(f"{name}: expected a number of at least 0, not {value}")
