"""What the world really gave, in a file that tests and the demo compare the cloud with."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

from msgspec import Struct, json

from common.clock import Clock
from edge_agent.simulators.world import World


class MeterTruth(Struct, frozen=True):
    """One meter: small units since the origin, face and rate in Wh and W, or m³ and m³/h."""

    consumed: int
    unit: str
    index: Decimal
    present: Decimal


class SiteTruth(Struct, frozen=True):
    """A site at an instant: meters, the count of every pulse module, outputs by DEVICE/OUTPUT."""

    at_ms: int
    meters: dict[str, MeterTruth]
    pulses: dict[str, int]
    outputs: dict[str, int]


def read_truth(path: Path) -> SiteTruth:
    """What ``Truth`` wrote. Raises OSError, msgspec.DecodeError."""
    return json.decode(path.read_bytes(), type=SiteTruth)


class Truth:
    """Writes ``path`` (if any) anew each second: a reader sees a whole file, old or new.

    ``outputs`` gives the state of every output by ``DEVICE/OUTPUT``; ``pulses`` the own count of
    every pulse module at an instant.
    """

    def __init__(
        self,
        path: Path | None,
        world: World,
        clock: Clock,
        *,
        outputs: Callable[[], dict[str, int]],
        pulses: Callable[[int], dict[str, int]],
    ) -> None:
        self._path = path
        self._world = world
        self._clock = clock
        self._outputs = outputs
        self._pulses = pulses

    def at(self, at_ms: int) -> SiteTruth:
        """The truth at an instant."""
        meters = {
            key: MeterTruth(
                meter.consumed(at_ms), meter.small_unit, meter.index(at_ms), meter.present(at_ms)
            )
            for key, meter in self._world.meters.items()
        }
        return SiteTruth(at_ms, meters, self._pulses(at_ms), self._outputs())

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
        try:
            while True:
                self.write()
                await self._clock.sleep(1)
        finally:
            self.write()
