"""What the world really gave, in a file that tests, people and the demo compare the cloud with."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from msgspec import Struct, json

from common.clock import Clock
from edge_agent.simulators.counter import Jump, Leg
from edge_agent.simulators.devices import Device, SimulatedModule
from edge_agent.simulators.world import World


class MeterTruth(Struct, frozen=True):
    """One meter: small units since the origin, face and rate in Wh and W, or m³ and m³/h."""

    consumed: int
    unit: str
    index: Decimal
    present: Decimal
    returned: int = 0


class DeviceTruth(Struct, frozen=True):
    """One device: its meter, and its own counter with all that was done to it.

    ``step`` is small units in one count, ``resolution`` small units by which the register that
    is read counts; ``modulus`` is None where the counter does not end.
    """

    kind: str
    meter: str
    step: int
    resolution: int
    count: int
    modulus: int | None
    legs: tuple[Leg, ...]
    jumps: tuple[Jump, ...]


class SiteTruth(Struct, frozen=True):
    """A site at an instant: meters, the total of every pulse module, outputs by DEVICE/OUTPUT."""

    at_ms: int
    meters: dict[str, MeterTruth]
    pulses: dict[str, int]
    outputs: dict[str, int]
    devices: dict[str, DeviceTruth] = {}


def read_truth(path: Path) -> SiteTruth:
    """What ``Truth`` wrote. Raises OSError, msgspec.DecodeError."""
    return json.decode(path.read_bytes(), type=SiteTruth)


class Truth:
    """Writes ``path`` (if any) anew each second: a reader sees a whole file, old or new."""

    def __init__(
        self, path: Path | None, world: World, devices: Mapping[str, Device], clock: Clock
    ) -> None:
        self._path = path
        self._world = world
        self._devices = devices
        self._clock = clock

    def at(self, at_ms: int) -> SiteTruth:
        """The truth at an instant."""
        meters = {
            key: MeterTruth(
                consumed=meter.consumed(at_ms),
                unit=meter.small_unit,
                index=meter.index(at_ms),
                present=meter.present(at_ms),
                returned=meter.returned(at_ms),
            )
            for key, meter in self._world.meters.items()
        }
        pulses = {
            name: device.total(at_ms)
            for name, device in self._devices.items()
            if isinstance(device, SimulatedModule)
        }
        outputs = {
            f"{name}/{key}": state
            for name, device in self._devices.items()
            for key, state in device.output_states().items()
        }
        devices = {name: _device(one, at_ms) for name, one in self._devices.items()}
        return SiteTruth(at_ms, meters, pulses, outputs, devices)

    def write(self) -> None:
        """Replace the file by the truth of now."""
        if self._path is None:
            return
        fresh = self._path.with_name(self._path.name + ".new")
        truth = json.encode(self.at(self._clock.now_ms()))
        fresh.write_bytes(json.format(truth, indent=1) + b"\n")
        fresh.replace(self._path)

    async def run(self) -> None:
        """Write each second until cancelled, and once more then."""
        if self._path is None:
            return
        try:
            while True:
                self.write()
                await self._clock.sleep(1)
        finally:
            self.write()


def _device(device: Device, at_ms: int) -> DeviceTruth:
    counter = device.counter
    return DeviceTruth(
        kind=device.kind,
        meter=device.meter.key,
        step=device.step,
        resolution=device.resolution,
        count=counter.count(at_ms),
        modulus=counter.modulus,
        legs=tuple(counter.legs),
        jumps=counter.jumps(at_ms),
    )
