"""What the routes about corrections take and answer."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic import WithJsonSchema as JsonSchema

from cloud.api.models import Exact, Model, Time

Reason = Annotated[str, Field(min_length=1, max_length=2000)]
ValueWanted = Annotated[
    Decimal,
    Field(max_digits=18),
    JsonSchema({"type": "string", "pattern": r"^-?\d+(\.\d+)?$", "examples": ["1234.567"]}),
]


class Correction(Model):
    """Readings that do not count, and perhaps a value in their place."""

    id: int
    register_id: int
    start: Time = Field(description="What was read from then on does not count")
    end: Time = Field(description="From then on it counts again")
    value: Exact | None = Field(description="A substitute: what it stood at, at start")
    made_at: Time
    made_by: str
    reason: str
    withdrawn_at: Time | None = Field(description="Since when it counts no more; null: it counts")
    withdrawn_by: str | None
    withdrawn_reason: str | None


class NewCorrection(Model):
    """A correction that is wanted."""

    model_config = ConfigDict(extra="forbid")

    start: AwareDatetime = Field(description="What was read from then on is not to count")
    end: AwareDatetime | None = Field(
        default=None, description="From then on it counts again; null: only start is corrected"
    )
    value: ValueWanted | None = Field(
        default=None, description="A substitute, in the base unit: what it stood at, at start"
    )
    reason: Reason


class Withdrawal(Model):
    """A correction that is to count no more."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason


CORRECTION: dict[str, Any] = {
    "id": 3,
    "register_id": 12,
    "start": "2026-06-03T08:00:00Z",
    "end": "2026-06-03T09:30:00Z",
    "value": "1234.567",
    "made_at": "2026-06-04T07:12:00Z",
    "made_by": "ana",
    "reason": "the pulse line was shorted by the electrician",
    "withdrawn_at": None,
    "withdrawn_by": None,
    "withdrawn_reason": None,
}
OF_CORRECTIONS: dict[str, dict[str, Any]] = {
    "Correction": CORRECTION,
    "NewCorrection": {
        "start": "2026-06-03T11:00:00+03:00",
        "end": "2026-06-03T12:30:00+03:00",
        "value": None,
        "reason": "the pulse line was shorted by the electrician",
    },
    "Withdrawal": {"reason": "the other register was meant"},
}
"""An example of each, by the model's name."""
