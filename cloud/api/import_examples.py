"""Files that are taken in, and what is said of them, for OpenAPI."""

from typing import Any

READINGS_FILE = """\
gateway,device,register,unit,time,value
hall-1,cold-water,volume,m³,2026-05-01T00:00:00+03:00,11.250
"""
POINTS_FILE = """\
key,name,site,medium,kind,gateway,device,register,start_time,start_index
flat-7,Flat 7,hall,cold water,volume,hall-1,cold-water,volume,2026-06-01T00:00:00Z,1.000
"""

LINE_FAULT: dict[str, Any] = {
    "line": 4,
    "column": "unit",
    "wrong": "'l' is not the register's unit, 'm³'",
    "advice": "convert the values",
}
IMPORT_REPORT: dict[str, Any] = {
    "file": "old.csv",
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "decimals": "point",
    "lines": 3,
    "new": 1,
    "already_there": 1,
    "conflicting": 0,
    "refused": 1,
    "faults": [LINE_FAULT],
    "more": 0,
    "stored": False,
}

OF_IMPORTS = {"LineFault": LINE_FAULT, "ImportReport": IMPORT_REPORT}
"""By the model's name."""
