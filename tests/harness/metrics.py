"""What this process has counted, as Prometheus would be told."""

from collections.abc import Callable

from cloud.services.metrics import REGISTRY


def counted(name: str, **labels: str) -> float:
    """The value of ``inmetter_name``."""
    value = REGISTRY.get_sample_value(f"inmetter_{name}", labels)
    assert value is not None, f"there is no inmetter_{name} {labels}"
    return value


def growth(name: str, **labels: str) -> Callable[[], float]:
    """By how much ``counted`` has grown since now."""
    before = counted(name, **labels)
    return lambda: counted(name, **labels) - before
