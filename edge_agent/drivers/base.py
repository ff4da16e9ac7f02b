"""What every driver offers, and the capabilities that some of them add."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from common.messages.uplink import Telegram
from common.reading import Measured
from common.registers import Register


@dataclass(frozen=True, slots=True)
class Sample:
    """What one poll of one device gave; ``at_ms`` is when it was measured (UTC, epoch ms)."""

    device: str
    at_ms: int
    measured: tuple[Measured, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """An absolute set of an output to 0 or 1, not to be carried out after ``not_after_ms``."""

    command: str
    register: str
    value: int
    not_after_ms: int


class Device(Protocol):
    """A configured device; ``key`` is unique on its gateway, ``registers`` fixed for its life."""

    @property
    def key(self) -> str: ...

    @property
    def registers(self) -> tuple[Register, ...]: ...


@runtime_checkable
class Polled(Protocol):
    """A device that is asked. ``read`` raises Retryable (no answer, bad frame) or Permanent."""

    async def read(self) -> Sample: ...


@runtime_checkable
class SwitchesOutputs(Protocol):
    """A device with outputs.

    ``switch`` carries the order out and returns the value read back from the device.
    Raises Unreachable when nothing was sent, another Retryable when the outcome is unknown,
    Refused when the device said no.
    ``read_output`` only reads the present value.
    """

    async def switch(self, order: Order) -> int: ...

    async def read_output(self, register: str) -> int: ...


@runtime_checkable
class KeepsTelegrams(Protocol):
    """A device that keeps what it answers with, where that is configured.

    ``take_telegrams`` gives what came since it was called last, also in a poll that failed.
    """

    def take_telegrams(self) -> list[Telegram]: ...


@runtime_checkable
class CountsRequests(Protocol):
    """A device that knows how many ``requests`` were sent to it, all polls together."""

    @property
    def requests(self) -> int: ...
