"""Modbus devices: what a profile says, read over a shared line."""

from collections.abc import Sequence

from common.clock import Clock
from common.errors import FrameError, NotFound, Refused, Retryable, Unreachable
from common.registers import Register
from edge_agent.drivers.base import Order, Sample
from edge_agent.drivers.modbus_line import Acknowledged, Busy, Failed, ModbusLine, NoSuchAddress
from edge_agent.profiles.modbus import Output, Profile, load_profile
from edge_agent.protocols import sunspec
from edge_agent.protocols.modbus import Cells, Request, Span, Write


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
        self._requests = profile.requests

    @property
    def key(self) -> str:
        return self._key

    @property
    def registers(self) -> tuple[Register, ...]:
        return self._registers

    @property
    def requests(self) -> int:
        return self._line.asked[self._unit]

    async def read(self) -> Sample:
        """Every register once; ``at_ms`` is when the last answer came.

        A device that refuses to be read over what it does not document is asked for no more than
        it documents, from then on.
        """
        try:
            cells = await self._poll(self._requests)
        except NoSuchAddress:
            gapless = self._profile.gapless.requests
            if self._requests == gapless:
                raise
            cells = await self._poll(gapless)
            self._requests = gapless
        return self._sample(self._profile, cells)

    def _sample(self, profile: Profile, cells: Cells) -> Sample:
        return Sample(self._key, self._clock.now_ms(), profile.decode(cells))

    async def _poll(self, requests: Sequence[Request]) -> Cells:
        cells: dict[tuple[int, int], int] = {}
        for request in requests:
            async with self._line.turns.turn():
                cells |= await self._fetch(request)
        return cells

    async def _fetch(self, request: Request) -> dict[tuple[int, int], int]:
        """One request; whoever calls has the line's turn."""
        function, span = request.function, request.span
        if function == 1:
            own = await self._line.read_coils(self._unit, span.address, span.count)
        else:
            own = await self._line.read_registers(self._unit, function, span)
        return {(function, address): word for address, word in enumerate(own, span.address)}


class ModbusSwitch(ModbusMeter):
    """A unit with outputs behind coils or holding registers."""

    async def switch(self, order: Order) -> int:
        """Set the output (FC 5, 6, 15 or 16) and read it back (FC 1 or 3), with nothing in
        between on the line.

        Raises NotFound for an output that is not there, Refused for a value that is not 0 or 1,
        Unreachable when nothing was written, also because the device was busy or the order's time
        ran out before it could be sent, FrameError when what is read back is neither on nor off.
        """
        output = self._output(order.register)
        if order.value not in (0, 1):
            raise Refused(f"device {self._key}: an output is set to 0 or 1, not {order.value}")
        async with self._line.turns.turn(order=True):
            before = await self._before(output)
            await self._line.connect(self._unit)
            if self._clock.now_ms() > order.not_after_ms:
                raise Unreachable(f"device {self._key}: the order's time is over; nothing was sent")
            await self._set(output.setting(order.value, before))
            try:
                return await self._state(output)
            except (Refused, Unreachable) as error:
                reason = f"device {self._key}: the output was set, not read back: {error}"
                raise FrameError(reason) from error

    async def read_output(self, register: str) -> int:
        """0 or 1. Raises FrameError when what is read is neither on nor off."""
        output = self._output(register)
        async with self._line.turns.turn(order=True):
            return await self._state(output)

    async def _before(self, output: Output) -> dict[tuple[int, int], int]:
        """What stands beside the output's own bits, which a write must keep."""
        if output.mask is None:
            return {}
        try:
            return await self._fetch(output.request)
        except Retryable as error:
            reason = f"device {self._key}: nothing was written, since it cannot be read: {error}"
            raise Unreachable(reason) from error

    async def _set(self, write: Write) -> None:
        """Write. Unreachable: the device was busy and did nothing."""
        try:
            await self._write(write)
        except Acknowledged:
            raise
        except Busy as error:
            raise Unreachable(f"device {self._key}: nothing was written: {error}") from error
        except Failed as error:
            raise FrameError(f"device {self._key}: it may have been written: {error}") from error

    async def _write(self, write: Write) -> None:
        address, values = write.address, list(write.values)
        match write.function:
            case 5:
                await self._line.write_coil(self._unit, address, values[0])
            case 6:
                await self._line.write_register(self._unit, address, values[0])
            case 15:
                await self._line.write_coils(self._unit, address, values)
            case _:
                await self._line.write_registers(self._unit, address, values)

    async def _state(self, output: Output) -> int:
        cells = await self._fetch(output.request)
        state = output.state(cells)
        if state is None:
            words = " ".join(f"{word:04X}" for word in cells.values())
            raise FrameError(f"device {self._key}: {output.key} is neither on nor off: {words}")
        return state

    def _output(self, register: str) -> Output:
        for output in self._profile.output:
            if output.key == register:
                return output
        raise NotFound(f"device {self._key} has no output {register!r}")


class SunSpecMeter(ModbusMeter):
    """A unit whose registers stand where its chain of SunSpec models says.

    The chain is walked before the first poll. Each poll reads the model's header too: where it is
    not the same any more, or the poll fails, the chain is walked anew at the next one.
    """

    _model: sunspec.Model | None = None

    async def read(self) -> Sample:
        """As of any meter. Raises NotFound when the device has no marker or no such model,
        Undecodable when the model is too short, FrameError when it has moved."""
        layouts = self._layouts()
        model = self._model or await self._search([n for one in layouts for n in one.sunspec])
        self._model = None
        layout = next(one for one in layouts if model.number in one.sunspec)
        model.require(layout.extent)
        placed = layout.placed(model.address)
        cells = await self._poll(placed.requests)
        model.check(cells[placed.function, address] for address in model.header)
        self._model = model
        return self._sample(placed, cells)

    def _layouts(self) -> tuple[Profile, ...]:
        first = self._profile
        return (first, load_profile(first.otherwise)) if first.otherwise else (first,)

    async def _search(self, numbers: Sequence[int]) -> sunspec.Model:
        search = sunspec.search(numbers)
        words: Sequence[int] | None = None
        while True:
            try:
                span = search.send(words)
            except StopIteration as end:
                model: sunspec.Model = end.value
                return model
            words = await self._read_or_none(span)

    async def _read_or_none(self, span: Span) -> Sequence[int] | None:
        try:
            async with self._line.turns.turn():
                return await self._line.read_registers(self._unit, self._profile.function, span)
        except Refused:
            return None


def modbus_device(
    key: str, line: ModbusLine, unit: int, profile: Profile, *, clock: Clock, interval_s: int = 0
) -> ModbusMeter:
    """The device that ``profile`` describes: one that finds its models, one with outputs, or
    just a meter."""
    kind = ModbusMeter
    if profile.sunspec:
        kind = SunSpecMeter
    elif profile.output:
        kind = ModbusSwitch
    return kind(key, line, unit, profile, clock=clock, interval_s=interval_s)
