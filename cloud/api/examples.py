"""One of each thing that the routes give and take, for OpenAPI: a hall with a water meter."""

from typing import Any

from cloud.api.correction_models import OF_CORRECTIONS
from cloud.api.degree_day_examples import OF_DEGREE_DAYS
from cloud.api.gas_examples import OF_GAS
from cloud.api.import_examples import OF_IMPORTS
from cloud.api.message_examples import OF_MESSAGES
from cloud.api.point_examples import OF_POINTS
from cloud.api.statement_examples import OF_STATEMENTS

Example = dict[str, Any]

STREAM = "0f5c2d6c1a9b4e0e8f7a6b5c4d3e2f10"
CURSOR = "q83vASNFZ4mrze8BWzE3OTAwMDAwMDAwMDAsMTIsNDMyMF0="

SITE: Example = {
    "id": 1,
    "key": "hall",
    "name": "Hall",
    "timezone": "Europe/Bucharest",
    "gateways": 1,
    "gateways_online": 1,
    "meters": 3,
}
DEVICE_HEALTH: Example = {
    "key": "cold-water",
    "name": "Cold water",
    "driver": "c11do1eth",
    "state": "ok",
    "last_ok_at": "2026-06-02T11:59:58Z",
    "failures": 0,
    "error": "",
}
GATEWAY: Example = {
    "id": 3,
    "key": "hall-1",
    "name": "Hall, cellar",
    "site": "hall",
    "site_name": "Hall",
    "agent": "inmetter 0.1.0",
    "online": True,
    "seen_at": "2026-06-02T11:59:59Z",
    "status_at": "2026-06-02T11:59:50Z",
    "queued": 0,
    "oldest_at": None,
    "journal_bytes": 1_048_576,
    "committed": 3811,
    "missing": 9,
    "lost": 500,
    "rejected": 0,
    "devices": [DEVICE_HEALTH],
}
REGISTER: Example = {
    "id": 12,
    "key": "volume",
    "name": "Volume",
    "medium": "cold water",
    "kind": "volume",
    "unit": "m³",
    "decimals": 3,
    "obis": "8-0:1.0.0",
    "interval_s": 60,
    "counting": True,
    "states": None,
    "writable": False,
}
OUTPUT_REGISTER: Example = {
    **REGISTER,
    "id": 14,
    "key": "roof",
    "name": "Roof",
    "medium": "other",
    "kind": "output",
    "unit": "",
    "decimals": 0,
    "obis": None,
    "counting": False,
    "states": ["closed", "open"],
    "writable": True,
}
READING: Example = {
    "at": "2026-06-02T11:59:58.500000Z",
    "value": "1234.567",
    "quality": "good",
    "raw": 1_234_567,
}
STATE_READING: Example = {**READING, "value": "1", "raw": 1}
LATEST: Example = {"register": REGISTER, "reading": READING, "stale": False}
METER: Example = {
    "id": 5,
    "key": "cold-water",
    "name": "Cold water",
    "driver": "c11do1eth",
    "model": "C11DO1ETH",
    "gateway": "hall-1",
    "site": "hall",
    "site_name": "Hall",
    "timezone": "Europe/Bucharest",
    "medium": "cold water",
    "online": True,
    "index": LATEST,
    "rate": None,
    "registers": [LATEST],
}
CONSUMPTION: Example = {
    "start": "2026-06-01T21:00:00Z",
    "end": "2026-06-02T21:00:00Z",
    "value": "3.125",
    "estimated": False,
    "corrected": False,
    "quality": "measured",
    "measured_percent": "100.0",
}
RATE_SLICE: Example = {
    "start": "2026-06-01T21:00:00Z",
    "end": "2026-06-02T03:00:00Z",
    "amount": "0.750",
    "rate": "0.125000000",
    "greatest": "0.311000000",
}
RATE: Example = {"register_id": 1, "unit": "m³/h", "slices": [RATE_SLICE]}
EVENT: Example = {
    "stream_id": 12,
    "seq": 4320,
    "gateway": "hall-1",
    "device": "cold-water",
    "at": "2026-06-02T11:58:00Z",
    "appended_at": "2026-06-02T11:58:00Z",
    "received_at": "2026-06-02T11:58:01Z",
    "code": "leak",
    "severity": "alarm",
    "text": "water has run for 24 hours",
    "acknowledged_at": None,
    "acknowledged_by": None,
}
PENDING: Example = {"state": "pending", "at": "2026-06-02T11:59:58Z", "detail": "too hot"}
SENT: Example = {"state": "sent", "at": "2026-06-02T11:59:58Z", "detail": ""}
COMMAND: Example = {
    "id": "019e8a1f2b3c7d4e8f9a0b1c2d3e4f50",
    "register_id": 14,
    "gateway": "hall-1",
    "device": "cold-water",
    "register": "roof",
    "value": 1,
    "wanted": "open",
    "state": "sent",
    "final": False,
    "issued_by": "ana",
    "reason": "too hot",
    "issued_at": "2026-06-02T11:59:58Z",
    "expires_at": "2026-06-02T12:00:58Z",
    "done_at": None,
    "readback": None,
    "detail": "",
    "steps": [PENDING, SENT],
}
NEW_COMMAND: Example = {"register_id": 14, "value": 1, "reason": "too hot", "ttl_s": 60}
CONFIG_VERSION: Example = {
    "version": 2,
    "set_by": "ana",
    "reason": "a new meter",
    "set_at": "2026-06-02T11:00:00Z",
    "state": "applied",
    "detail": "",
    "state_at": "2026-06-02T11:00:40Z",
    "sent_at": "2026-06-02T11:00:01Z",
}
TOML = '[gateway]\nid = "hall-1"\n'
CONFIG_VERSION_TEXT: Example = {**CONFIG_VERSION, "toml": TOML}
CONFIGURATION: Example = {
    "gateway_id": 3,
    "gateway": "hall-1",
    "desired": CONFIG_VERSION_TEXT,
    "running": 2,
    "trial": False,
    "refused": None,
    "refused_reason": "",
}
NEW_CONFIGURATION: Example = {"toml": TOML, "reason": "a new meter"}
OUTPUT: Example = {
    "register": OUTPUT_REGISTER,
    "device": "cold-water",
    "device_name": "Cold water",
    "gateway": "hall-1",
    "site_name": "Hall",
    "timezone": "Europe/Bucharest",
    "online": True,
    "reading": STATE_READING,
    "stale": False,
    "last_command": COMMAND,
}
RULE: Example = {
    "id": 1,
    "name": "Roof by the hall's power",
    "enabled": True,
    "source": "hall-1/electricity-main/power",
    "above": "40000",
    "below": "33000",
    "unit": "W",
    "output": "hall-1/cold-water/roof",
    "output_register_id": 14,
    "hold_s": 15,
    "max_age_s": 60,
    "set_to": 1,
    "changed_at": "2026-06-02T11:58:00Z",
}
MISSING: Example = {"first": 4001, "last": 4009, "since": "2026-06-02T11:58:00Z", "held": True}
LOSS: Example = {
    "first": 2001,
    "last": 2500,
    "reason": "drop_oldest",
    "start": "2026-06-01T20:00:00Z",
    "end": "2026-06-01T21:40:00Z",
    "received_at": "2026-06-02T06:00:00Z",
}
STREAM_BOOKS: Example = {
    "stream": STREAM,
    "current": True,
    "since": "2026-06-01T08:00:00Z",
    "closed_at": None,
    "settled": [{"first": 1, "last": 4000}, {"first": 4010, "last": 4320}],
    "missing": [MISSING],
    "losses": [LOSS],
    "committed": 3811,
    "lost": 500,
    "rejected": 0,
}
CLOCK_SPAN: Example = {
    "first": 1,
    "last": 4320,
    "boot": 7,
    "ahead_ms": 1_780_000_000_000,
    "quality": "synced",
}
REJECTED_ENTRY: Example = {
    "stream": STREAM,
    "seq": 4320,
    "reason": "no catalog says what register number 7 is",
    "body": '{"k":"readings","at":1780401480000,"r":[[7,1,0,null]]}',
    "size": 54,
    "received_at": "2026-06-02T11:58:00Z",
}
QUARANTINED_MESSAGE: Example = {
    "id": 17,
    "topic": "inmetter/v1/hall-1/up/journal",
    "reason": "not a batch",
    "size": 5,
    "payload": "aGVsbG8=",
    "text": "hello",
    "received_at": "2026-06-02T11:58:00Z",
}
COMPLETENESS: Example = {
    "start": "2026-06-01T21:00:00Z",
    "end": "2026-06-02T21:00:00Z",
    "expected": 1440,
    "got": 1400,
    "estimated": 2,
    "missing": 40,
    "failing": 10,
    "lost": 30,
    "waiting": 0,
}
REGISTER_COMPLETENESS: Example = {
    "register_id": 12,
    "key": "volume",
    "name": "Volume",
    "interval_s": 60,
    "days": [COMPLETENESS],
}
DEVICE_COMPLETENESS: Example = {
    "key": "cold-water",
    "name": "Cold water",
    "days": [COMPLETENESS],
    "registers": [REGISTER_COMPLETENESS],
}
GATEWAY_DAY: Example = {
    "gateway_id": 1,
    "gateway": "hall-1",
    "site": "hall",
    "timezone": "Europe/Bucharest",
    "start": "2026-06-01T21:00:00Z",
    "end": "2026-06-02T21:00:00Z",
    "registers": 12,
    "whole": 11,
    "expected": 17280,
    "got": 17240,
    "missing": 40,
    "percent": "99.7",
    "behind": 0,
}
GATEWAY_COMPLETENESS: Example = {
    "gateway": "hall-1",
    "timezone": "Europe/Bucharest",
    "days": [COMPLETENESS],
    "devices": [DEVICE_COMPLETENESS],
}

OF: dict[str, Example] = {
    "Site": SITE,
    "DeviceHealth": DEVICE_HEALTH,
    "Gateway": GATEWAY,
    "Register": REGISTER,
    "Reading": READING,
    "Latest": LATEST,
    "Meter": METER,
    "Consumption": CONSUMPTION,
    "RateSlice": RATE_SLICE,
    "Rate": RATE,
    "Event": EVENT,
    "Command": COMMAND,
    "NewCommand": NEW_COMMAND,
    "ConfigVersion": CONFIG_VERSION,
    "ConfigVersionText": CONFIG_VERSION_TEXT,
    "Configuration": CONFIGURATION,
    "NewConfiguration": NEW_CONFIGURATION,
    "Output": OUTPUT,
    "Rule": RULE,
    "Missing": MISSING,
    "Loss": LOSS,
    "StreamBooks": STREAM_BOOKS,
    "ClockSpan": CLOCK_SPAN,
    "RejectedEntry": REJECTED_ENTRY,
    "QuarantinedMessage": QUARANTINED_MESSAGE,
    "Completeness": COMPLETENESS,
    "RegisterCompleteness": REGISTER_COMPLETENESS,
    "DeviceCompleteness": DEVICE_COMPLETENESS,
    "GatewayCompleteness": GATEWAY_COMPLETENESS,
    "GatewayDay": GATEWAY_DAY,
    **OF_POINTS,
    **OF_CORRECTIONS,
    **OF_GAS,
    **OF_DEGREE_DAYS,
    **OF_IMPORTS,
    **OF_MESSAGES,
    **OF_STATEMENTS,
}
"""By the model's name."""
