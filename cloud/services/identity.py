"""Two computers that claim to be one gateway, as with a copied card: one of them is refused."""

from msgspec import structs

from cloud.services.own_events import tell
from cloud.storage.gateways import GatewayRow
from cloud.storage.unit_of_work import UnitOfWork
from common.messages.uplink import Event, Hello

SILENT_MS = 600_000
"""A gateway that was not heard of for so long may have been given another computer."""

TOLD_EVERY_MS = 3_600_000

CLAIMED = "gateway-claimed-twice"
MOVED = "gateway-moved"


def refusal(uow: UnitOfWork, gateway: GatewayRow, hello: Hello, now_ms: int) -> str:
    """Why the computer that says hello may not be this gateway; empty when it may.

    The gateway belongs to the computer that was heard of last, until that has been silent for
    SILENT_MS. Where a computer cannot tell which one it is, nothing can be told. Alarms are events
    of the gateway's newest stream.
    """
    other = hello.machine
    if not other or other == gateway.machine:
        return ""
    # Another hello of this transaction may have changed it.
    [gateway] = uow.gateways.lock([gateway.id])
    mine = gateway.machine
    if not mine:
        uow.gateways.set_machine(gateway.id, other)
        return ""
    if gateway.seen_at is None or now_ms - gateway.seen_at > SILENT_MS:
        uow.gateways.set_machine(gateway.id, other)
        text = f"runs on computer {other} now, not on {mine}"
        _tell(uow, gateway, Event(now_ms, MOVED, "warning", text))
        return ""
    reason = (
        f"gateway {gateway.key} is at work on computer {mine}; computer {other} may not be it too."
        f" Give one of them an identity of its own, or stop {mine} for 10 minutes"
    )
    if gateway.claimed_by != other or now_ms - (gateway.claimed_at or 0) > TOLD_EVERY_MS:
        uow.gateways.set_claim(gateway.id, other, now_ms)
        text = f"is claimed by two computers: {mine} is let in, {other} is refused. A copied card?"
        data: dict[str, str | int | None] = {"machine": mine, "refused": other}
        _tell(uow, gateway, Event(now_ms, CLAIMED, "alarm", text, data=data))
    return reason


def _tell(uow: UnitOfWork, gateway: GatewayRow, event: Event) -> None:
    event = structs.replace(event, text=f"gateway {gateway.key} {event.text}")
    tell(uow, gateway.id, uow.ledger.newest_stream(gateway.id), event)
