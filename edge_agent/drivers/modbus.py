"""Modbus devices: what a profile says, read over a shared line."""

from decimal import Decimal

from common.clock import Clock
from common.errors import FrameError, NotFound, Refused, Unreachable
from common.reading import Measured
from common.registers import Register
from edge_agent.drivers.base import Order, Sample
from edge_agent.drivers.modbus_line import ModbusLine
from edge_agent.profiles.modbus import Output, Profile


class ModbusMeter:
    """One unit on a line. The line is held for one request at a time, so that a command of
    another unit waits for no more than that."""

    def __init__(
        self,
        key: str,
        line: ModbusLine,
        unit: int,
        profile: Profile,
        *,
        clock: Clock,
        interval_s: int = 0,
    ) -> None:
        self._key = key
        self._line = line
        self._unit = unit
        self._profile = profile
        self._clock = clock
        self._registers = profile.registers(interval_s)

    @property
    def key(self) -> str:
        return self._key

    @property
    def registers(self) -> tuple[Register, ...]:
        return self._registers

    async def read(self) -> Sample:
        """Every register once; ``at_ms`` is when the last answer came."""
        words: dict[int, int] = {}
        for span in self._profile.requests:
            async with self._line.lock:
                block = await self._line.read_registers(self._unit, self._profile.function, span)
            words.update(enumerate(block, span.address))
        measured = self._profile.decode(words)
        for output in self._profile.output:
            async with self._line.lock:
                state = await self._line.read_coil(self._unit, output.coil)
            measured += (Measured(output.key, Decimal(state), raw=state),)
        return Sample(self._key, self._clock.now_ms(), measured)


class ModbusSwitch(ModbusMeter):
    """A unit with outputs behind coils."""

    async def switch(self, order: Order) -> int:
        """Set the coil (FC 5) and read it back (FC 1), with nothing in between on the line.

        Raises NotFound for an output that is not there, Refused for a value that is not 0 or 1,
        Unreachable when nothing was sent, also because the order's time ran out in the queue.
        """
        output = self._output(order.register)
        if order.value not in (0, 1):
            raise Refused(f"device {self._key}: an output is set to 0 or 1, not {order.value}")
        async with self._line.lock:
            if self._clock.now_ms() > order.not_after_ms:
                raise Unreachable(f"device {self._key}: the order's time is over; nothing was sent")
            await self._line.write_coil(self._unit, output.coil, order.value)
            try:
                return await self._line.read_coil(self._unit, output.coil)
            except (Refused, Unreachable) as error:
                reason = f"device {self._key}: the output was set, not read back: {error}"
                raise FrameError(reason) from error

    async def read_output(self, register: str) -> int:
        output = self._output(register)
        async with self._line.lock:
            return await self._line.read_coil(self._unit, output.coil)

    def _output(self, register: str) -> Output:
        for output in self._profile.output:
            if output.key == register:
                return output
        raise NotFound(f"device {self._key} has no output {register!r}")


def modbus_device(
    key: str, line: ModbusLine, unit: int, profile: Profile, *, clock: Clock, interval_s: int = 0
) -> ModbusMeter:
    """The device that ``profile`` describes: a ModbusSwitch where it has outputs."""
    kind = ModbusSwitch if profile.output else ModbusMeter
    return kind(key, line, unit, profile, clock=clock, interval_s=interval_s)
