"""One of each thing that the routes about the energy of gas give and take."""

from typing import Any

Example = dict[str, Any]

AREA: Example = {
    "name": "Mill Valley, H gas",
    "values": [
        {"valid_from": "2026-05-01", "valid_until": None, "hs": "11.302", "preliminary": False},
        {
            "valid_from": "2026-06-01",
            "valid_until": "2026-07-01",
            "hs": "11.28",
            "preliminary": True,
        },
    ],
}
STATE: Example = {"valid_from": "2026-01-01", "z": "0.9674", "area": "mill-valley"}
GAS_USE: Example = {
    "start": "2026-06-01",
    "end": "2026-06-02",
    "volume": "2.500",
    "z": "0.9674",
    "hs": "11.28",
    "area": "mill-valley",
    "preliminary": True,
    "energy": "27.280680000",
}

OF_GAS: dict[str, Example] = {
    "NewGasArea": {**AREA, "reason": "as published on 5 June"},
    "GasArea": {**AREA, "key": "mill-valley", "revision": 2, "changed_at": "2026-06-05T08:00:00Z"},
    "NewGasPoint": {"states": [STATE], "reason": "altitude zone 2"},
    "GasPoint": {"states": [STATE], "revision": 1, "changed_at": "2026-06-05T08:00:00Z"},
    "Energy": {
        "start": "2026-05-31T21:00:00Z",
        "end": "2026-06-01T21:00:00Z",
        "volume": "2.500",
        "energy": "27.280680000",
        "estimated": True,
        "corrected": False,
        "measured_percent": "100.0",
        "uses": [GAS_USE],
    },
    "StateNumber": {
        "z": "0.9674",
        "altitude_m": "33",
        "pressure_mbar": "22",
        "temperature_c": "15",
        "compressibility": "1",
    },
}
"""By the model's name."""
