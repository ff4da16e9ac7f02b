"""How each device is doing: unknown, ok or failing, and what to say when that changes."""

from collections.abc import Callable, Iterable

from common.messages.uplink import DeviceStatus, Event

UNKNOWN, OK, FAILING = "unknown", "ok", "failing"

ERROR_CHARACTERS = 300
"""Of an error, in a status: that of a thousand failing devices must fit into one message."""


class DeviceStates:
    """The states of the gateway's devices. ``on_change`` is called when one begins or ends to fail.

    ``ok`` and ``failed`` return the event to append, or None when nothing has changed.
    """

    def __init__(self, devices: Iterable[str], on_change: Callable[[], None] | None = None) -> None:
        self._statuses = {key: DeviceStatus(key, UNKNOWN) for key in devices}
        self.on_change = on_change

    def __getitem__(self, device: str) -> DeviceStatus:
        return self._statuses[device]

    def all(self) -> list[DeviceStatus]:
        """The status of every device, in the order of the configuration."""
        return list(self._statuses.values())

    def ok(self, device: str, at_ms: int) -> Event | None:
        """The device gave something at ``at_ms``."""
        before = self._statuses[device]
        self._statuses[device] = DeviceStatus(device, OK, last_ok_at=at_ms)
        self._tell(before, OK)
        if before.state != FAILING:
            return None
        text = f"{device} answers again"
        return Event(at_ms, "device_ok", "info", text, device, {"failures": before.failures})

    def failed(self, device: str, at_ms: int, error: str) -> Event | None:
        """The device gave nothing, once more."""
        before = self._statuses[device]
        self._statuses[device] = DeviceStatus(
            device, FAILING, before.last_ok_at, before.failures + 1, error[:ERROR_CHARACTERS]
        )
        self._tell(before, FAILING)
        if before.state == FAILING:
            return None
        return Event(at_ms, "device_failing", "warning", error[:2000], device)

    def _tell(self, before: DeviceStatus, state: str) -> None:
        if before.state != state and self.on_change:
            self.on_change()
