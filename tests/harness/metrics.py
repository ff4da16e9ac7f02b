"""What this process has counted, as Prometheus would be told."""

from cloud.services.metrics import REGISTRY


def counted(name: str, **labels: str) -> float:
    """The value of ``inmetter_name``."""
    value = REGISTRY.get_sample_value(f"inmetter_{name}", labels)
    assert value is not None, f"there is no inmetter_{name} {labels}"
    return value
