"""One of each thing that the routes about degree days give and take."""

from typing import Any

Example = dict[str, Any]

USUAL = ["620", "540", "450", "280", "120", "30", "0", "5", "90", "260", "430", "570"]
HEATING: Example = {"register_id": 12, "base": "20", "limit": "15", "reference": USUAL}

OF_DEGREE_DAYS: dict[str, Example] = {
    "NewHeating": {**HEATING, "reason": "means of 1991 to 2020"},
    "Heating": {**HEATING, "revision": 1, "changed_at": "2026-06-05T08:00:00Z"},
    "DegreeDays": {
        "start": "2026-01-31T22:00:00Z",
        "end": "2026-02-28T22:00:00Z",
        "degree_days": "600.00",
        "heating_days": 28,
        "temperature_percent": "100.0",
        "consumption": "180.000",
        "estimated": False,
        "corrected": False,
        "measured_percent": "100.0",
        "reference": "540",
        "per_degree_day": "0.300000",
        "normalised": "162.000000",
        "status": "good",
    },
}
"""By the model's name."""
