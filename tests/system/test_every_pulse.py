"""Every pulse that the simulated meters gave is in the database, exactly."""

from decimal import Decimal

import pytest

from tests.harness.eventually import eventually
from tests.harness.site import GATEWAY, METERS, MODULES
from tests.system.plant import Plant

MODBUS_STEP_WH = 10
"""The ABB B23 shows hundredths of a kWh."""


@pytest.mark.timeout(120)
def test_every_pulse_is_in_the_database(plant: Plant) -> None:
    """Two hours of the world in twelve seconds; then every index is the world's, to the pulse."""
    plant.start_cloud()
    plant.start_site()
    eventually(lambda: _is_over(plant), 40, "the end of the world's time")
    truth = plant.site.truth()
    for module in MODULES:
        pulses = truth["pulses"][module.key]
        assert pulses > 50, f"{module.key} gave {pulses} pulses only: this tests nothing"
        _wait_for_index(plant, module.key, "volume", module.start + pulses * module.weight)
    for key, step in (("electricity-hall", 1), ("electricity-main", MODBUS_STEP_WH)):
        index = Decimal(truth["meters"][key]["index"])
        assert index > dict(METERS)[key] + 1000
        _wait_for_index(plant, key, "energy_import", int(index) // step * step)
    plant.check_books()
    _check_indexes_only_grow(plant)


def _is_over(plant: Plant) -> bool:
    meters = plant.site.truth()["meters"].values()
    return all(Decimal(meter["present"]) == 0 and meter["consumed"] for meter in meters)


def _wait_for_index(plant: Plant, device: str, register: str, expected: int) -> None:
    """Litres and watt-hours are what the registers are scaled to."""

    def look() -> bool:
        index = plant.book.latest(GATEWAY, device, register)
        assert index == expected, f"{device} is at {index}, should be at {expected}"
        return True

    eventually(look, 30, f"the index of {device}")


def _check_indexes_only_grow(plant: Plant) -> None:
    series: dict[str, list[tuple[int, int]]] = {}
    for (device, register, at), (value, _, _) in plant.book.readings(GATEWAY).items():
        if register in {"volume", "energy_import"}:
            assert value is not None
            series.setdefault(device, []).append((at, value))
    assert set(series) == {one.key for one in MODULES} | set(dict(METERS))
    for device, points in series.items():
        values = [value for _, value in sorted(points)]
        assert values == sorted(values), f"{device} went back"
        assert len(set(values)) > 2, f"{device} was read at its beginning and end only"
