"""One of each thing that the routes about metering points give and take."""

from typing import Any

Example = dict[str, Any]

INSTALLATION: Example = {
    "id": 4,
    "register_id": 12,
    "device_id": 7,
    "device": "Cold water",
    "serial": "A1-2026-0117",
    "multiplier": "1",
    "start": "2026-06-01T06:30:00Z",
    "start_index": "0.240",
    "end": None,
    "final_index": None,
    "rollover": "100000.000",
}
UNCOUNTED: Example = {
    "installation_id": 4,
    "device": "Cold water",
    "when": "after",
    "readings": 37,
    "first": "2026-06-01T06:30:00Z",
    "last": "2026-06-02T06:30:00Z",
    "first_index": "110.000",
    "last_index": "110.500",
    "text": "37 readings since Cold water was removed are not counted (2026-06-01 06:00 UTC);"
    " its index grew: install it where it counts now, or take it off the gateway",
}
TERM: Example = {"point_id": 1, "point": "house-cold", "factor": "1"}
NEW_TERM: Example = {"point": "house-cold", "factor": "1"}
NEW_TERMS: Example = {"terms": [NEW_TERM], "reason": "the sub-meter is gone"}
METERING_POINT: Example = {
    "id": 2,
    "key": "flat-12-cold",
    "name": "Flat 12, cold water",
    "site": "hall",
    "timezone": "Europe/Bucharest",
    "medium": "cold water",
    "kind": "volume",
    "unit": "m³",
    "parent_id": None,
    "installations": [INSTALLATION],
    "terms": [],
}
NEW_METERING_POINT: Example = {
    "key": "flat-12-cold",
    "name": "Flat 12, cold water",
    "site": "hall",
    "medium": "cold water",
    "kind": "volume",
    "parent": None,
    "terms": [],
}
BILLING: Example = {"day": 15, "months": 1, "first_month": 1, "dates": []}
NEW_BILLING: Example = {**BILLING, "reason": "as in the contract"}
POINT_CONSUMPTION: Example = {
    "start": "2026-06-01T21:00:00Z",
    "end": "2026-06-02T21:00:00Z",
    "value": "3.125",
    "estimated": False,
    "corrected": False,
    "quality": "measured",
    "measured_percent": "100.0",
    "missing": [],
}
SITE_CONSUMPTION: Example = {
    "point_id": 2,
    "key": "flat-12-cold",
    "name": "Flat 12, cold water",
    "periods": [POINT_CONSUMPTION],
}
INSTALLING: Example = {
    "at": "2026-06-01T09:30:00+03:00",
    "register_id": 12,
    "start_index": "0.240",
    "serial": "A1-2026-0117",
    "multiplier": "1",
    "rollover": "100000",
    "reason": "",
}
EXCHANGE: Example = {
    **INSTALLING,
    "at": "2026-06-15T09:30:00+03:00",
    "reason": "calibration has expired",
    "final_index": "1234.567",
}
REMOVING: Example = {
    "at": "2026-06-30T09:30:00+03:00",
    "final_index": "1234.567",
    "reason": "the flat is empty",
}
RESETTING: Example = {
    "at": "2026-06-20T09:30:00+03:00",
    "final_index": "640.250",
    "start_index": "0.000",
    "reason": "the battery was exchanged",
}
CHANGE: Example = {
    "at": "2026-06-01T06:35:12Z",
    "by": "ana",
    "action": "exchanged",
    "reason": "calibration has expired",
    "detail": {"at": "2026-06-01T06:30:00+00:00", "register_id": "12", "final_index": "1234.567"},
}

FINDING: Example = {
    "code": "continuous_flow",
    "severity": "alarm",
    "since": "2026-06-10T06:00:00Z",
    "until": None,
    "text": "Cold water has flowed for 28 measured hours without a pause: look for a leak",
    "evidence": {"measured_hours": 28, "least_hour": "0.012", "unit": "m³"},
    "told_at": "2026-06-11T10:00:00Z",
    "closed_at": None,
}
NEW_ANALYSES: Example = {
    "analyses": {"continuous_flow": {"hours": 48}, "night_flow": None},
    "reason": "a fountain",
}
ANALYSES: Example = {
    "own": {"continuous_flow": {"hours": 48}, "night_flow": None},
    "effective": {"continuous_flow": {"hours": 48}, "night_flow": None},
}

OF_POINTS: dict[str, Example] = {
    "Installation": INSTALLATION,
    "Uncounted": UNCOUNTED,
    "Term": TERM,
    "NewTerm": NEW_TERM,
    "NewTerms": NEW_TERMS,
    "Billing": BILLING,
    "NewBilling": NEW_BILLING,
    "PointConsumption": POINT_CONSUMPTION,
    "SiteConsumption": SITE_CONSUMPTION,
    "MeteringPoint": METERING_POINT,
    "NewMeteringPoint": NEW_METERING_POINT,
    "Installing": INSTALLING,
    "Removing": REMOVING,
    "Exchange": EXCHANGE,
    "Resetting": RESETTING,
    "Change": CHANGE,
    "Finding": FINDING,
    "NewAnalyses": NEW_ANALYSES,
    "Analyses": ANALYSES,
}
"""By the model's name."""
