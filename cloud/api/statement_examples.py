"""One of each thing that the routes about tariffs, cost and statements give and take."""

from typing import Any

Example = dict[str, Any]

DEFINITION: Example = {
    "name": "Water",
    "currency": "RON",
    "unit": "m³",
    "decimals": 2,
    "versions": [
        {
            "valid_from": "2026-01-01",
            "valid_until": None,
            "charges": [
                {
                    "name": "Meter",
                    "tax_percent": None,
                    "kind": "standing",
                    "amount": "3.00",
                    "per": "month",
                },
                {"name": "Water", "tax_percent": None, "kind": "per_unit", "price": "2.50"},
            ],
            "tax_percent": "9",
        }
    ],
}
TARIFF: Example = {
    **DEFINITION,
    "key": "water",
    "revision": 1,
    "changed_at": "2026-07-02T00:00:00Z",
}
NEW_TARIFF: Example = {**DEFINITION, "reason": "prices of 2026"}
ASSIGNMENT: Example = {"start": "2026-01-01", "tariff": "water", "name": "Water"}
NEW_ASSIGNMENT: Example = {"start": "2026-01-01", "tariff": "water", "reason": ""}
POINT_COST: Example = {
    "start": "2026-06-01",
    "end": "2026-06-02",
    "priced": {
        "spans": [
            {
                "tariff": "water",
                "name": "Water",
                "revision": 1,
                "start": "2026-06-01",
                "end": "2026-06-02",
                "cost": {
                    "currency": "RON",
                    "unit": "m³",
                    "lines": [
                        {
                            "charge": "Meter",
                            "part": "",
                            "start": "2026-06-01",
                            "end": "2026-06-02",
                            "quantity": "1",
                            "unit": "day",
                            "price": "3.00",
                            "per": "month",
                            "net": "0.10",
                            "tax_percent": "9",
                            "estimated": "0",
                        },
                        {
                            "charge": "Water",
                            "part": "",
                            "start": "2026-06-01",
                            "end": "2026-06-02",
                            "quantity": "0.24",
                            "unit": "m³",
                            "price": "2.50",
                            "per": "m³",
                            "net": "0.60",
                            "tax_percent": "9",
                            "estimated": "0",
                        },
                    ],
                    "taxes": [{"percent": "9", "net": "0.70", "tax": "0.06"}],
                    "net": "0.70",
                    "tax": "0.06",
                    "gross": "0.76",
                    "quantity": "0.24",
                    "estimated": "0",
                    "missing_s": 0,
                    "not_priced": [],
                },
            }
        ],
        "totals": [{"currency": "RON", "net": "0.70", "tax": "0.06", "gross": "0.76"}],
        "without_tariff": [],
    },
}
ISSUED: Example = {
    "id": 1,
    "point_id": 1,
    "month": "2026-06",
    "issued_at": "2026-07-02T00:00:00Z",
    "issued_by": "ana",
    "hash": "46c6ad44aaf95ac01e90a9cbddc759abda57215d63b45a1c06f3f51bda987ec6",
}
STATEMENT: Example = {
    "issued": {
        "id": 1,
        "point_id": 1,
        "month": "2026-06",
        "issued_at": "2026-07-02T00:00:00Z",
        "issued_by": "ana",
        "hash": "46c6ad44aaf95ac01e90a9cbddc759abda57215d63b45a1c06f3f51bda987ec6",
    },
    "content": {
        "point": "flat-12-cold",
        "name": "Flat 12, cold water",
        "site": "hall",
        "timezone": "UTC",
        "medium": "cold water",
        "kind": "volume",
        "unit": "m³",
        "month": "2026-06",
        "start": "2026-06-01T00:00:00Z",
        "end": "2026-07-01T00:00:00Z",
        "meters": [
            {
                "device": "Cold-Water",
                "serial": "A1",
                "register_id": 1,
                "multiplier": "1",
                "start": "2026-06-01T00:00:00Z",
                "start_index": "1.000",
                "start_estimated": False,
                "end": "2026-07-01T00:00:00Z",
                "end_index": "7.960",
                "end_estimated": True,
            }
        ],
        "days": [
            {
                "day": "2026-06-30",
                "quantity": None,
                "estimated": "0",
                "corrected": "0",
                "missing_s": 86400,
            }
        ],
        "quantity": "6.960",
        "estimated": "0",
        "corrected": "0",
        "missing_s": 86400,
        "measured_percent": "96.6",
        "priced": {
            "spans": [
                {
                    "tariff": "water",
                    "name": "Water",
                    "revision": 1,
                    "start": "2026-06-01",
                    "end": "2026-07-01",
                    "cost": {
                        "currency": "RON",
                        "unit": "m³",
                        "lines": [
                            {
                                "charge": "Meter",
                                "part": "",
                                "start": "2026-06-01",
                                "end": "2026-07-01",
                                "quantity": "30",
                                "unit": "day",
                                "price": "3.00",
                                "per": "month",
                                "net": "3.00",
                                "tax_percent": "9",
                                "estimated": "0",
                            },
                            {
                                "charge": "Water",
                                "part": "",
                                "start": "2026-06-01",
                                "end": "2026-07-01",
                                "quantity": "6.96",
                                "unit": "m³",
                                "price": "2.50",
                                "per": "m³",
                                "net": "17.40",
                                "tax_percent": "9",
                                "estimated": "0",
                            },
                        ],
                        "taxes": [{"percent": "9", "net": "20.40", "tax": "1.84"}],
                        "net": "20.40",
                        "tax": "1.84",
                        "gross": "22.24",
                        "quantity": "6.96",
                        "estimated": "0",
                        "missing_s": 86400,
                        "not_priced": [],
                    },
                }
            ],
            "totals": [{"currency": "RON", "net": "20.40", "tax": "1.84", "gross": "22.24"}],
            "without_tariff": [],
        },
        "gas": [],
    },
    "since": {
        "changed": True,
        "totals": [
            {"figure": "quantity", "then": "6.960", "now": "7.200", "difference": "0.240"},
            {"figure": "estimated", "then": "0", "now": "0.240", "difference": "0.240"},
            {"figure": "missing_s", "then": "86400", "now": "0", "difference": "-86400"},
            {"figure": "net RON", "then": "20.40", "now": "21.00", "difference": "0.60"},
            {"figure": "tax RON", "then": "1.84", "now": "1.89", "difference": "0.05"},
            {"figure": "gross RON", "then": "22.24", "now": "22.89", "difference": "0.65"},
        ],
        "lines": [
            {
                "tariff": "water",
                "charge": "Water",
                "part": "",
                "start": "2026-06-01",
                "figures": [
                    {"figure": "quantity", "then": "6.96", "now": "7.2", "difference": "0.24"},
                    {"figure": "estimated", "then": "0", "now": "0.0334", "difference": "0.0334"},
                    {"figure": "net", "then": "17.40", "now": "18.00", "difference": "0.60"},
                ],
            }
        ],
        "days": [
            {
                "day": "2026-06-30",
                "figures": [
                    {"figure": "quantity", "then": None, "now": "0.240", "difference": "0.240"},
                    {"figure": "estimated", "then": "0", "now": "0.240", "difference": "0.240"},
                    {"figure": "missing_s", "then": "86400", "now": "0", "difference": "-86400"},
                ],
            }
        ],
        "meters": [
            {
                "device": "Cold-Water",
                "serial": "A1",
                "register_id": 1,
                "multiplier": "1",
                "start": "2026-06-01T00:00:00Z",
                "start_index": "1.000",
                "start_estimated": False,
                "end": "2026-07-01T00:00:00Z",
                "end_index": "8.200",
                "end_estimated": False,
            }
        ],
        "gas": [],
    },
}
ISSUING: Example = {"month": "2026-06", "reason": ""}

OF_STATEMENTS: dict[str, Example] = {
    "Tariff": TARIFF,
    "NewTariff": NEW_TARIFF,
    "Assignment": ASSIGNMENT,
    "NewAssignment": NEW_ASSIGNMENT,
    "PointCost": POINT_COST,
    "Issued": ISSUED,
    "Statement": STATEMENT,
    "Issuing": ISSUING,
}
"""By the model's name."""
