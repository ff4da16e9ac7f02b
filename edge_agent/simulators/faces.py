"""What a simulated device shows of its meter, through a counter of its own."""

from dataclasses import dataclass
from decimal import Decimal

from edge_agent.simulators.counter import Counter
from edge_agent.simulators.world import Meter

MAX_POWER_W = 10**9
"""The most that power and current of our simulated M-Bus meters have room for."""


@dataclass(frozen=True, slots=True)
class Face:
    """What a device shows of its meter: its own counter, which faults may have changed."""

    meter: Meter
    counter: Counter

    def index(self, at_ms: int) -> Decimal:
        shown = max(0, self.counter.count(at_ms))
        return Decimal(shown).scaleb(-self.meter.small_decimals)

    def exported(self, at_ms: int) -> Decimal:
        return self.meter.exported(at_ms)

    def present(self, at_ms: int) -> Decimal:
        return self.meter.present(at_ms)


def face_counter(meter: Meter, modulus: int) -> Counter:
    """The counter of a device that is a meter itself, in small units."""
    return Counter(lambda at_ms: meter.start + meter.turned(at_ms), modulus or None)


class MbusState:
    """A meter of the world as a simulated M-Bus meter asks for it.

    It is asked for what was at a time of the meter's clock, which is ``ahead_ms`` fast.
    """

    def __init__(self, face: Face) -> None:
        self._face = face
        self.ahead_ms = 0

    def energy_import_wh(self, at_ms: int) -> int:
        return int(self._face.index(at_ms - self.ahead_ms))

    def volume_l(self, at_ms: int) -> int:
        return int(self._face.index(at_ms - self.ahead_ms) * 1000)

    def power_w(self, at_ms: int) -> int:
        """At most what the meter can show, however fast its world turns."""
        power = int(self._face.present(at_ms - self.ahead_ms))
        return max(-MAX_POWER_W, min(power, MAX_POWER_W))

    def voltages_dv(self, at_ms: int) -> tuple[int, int, int]:
        """A stiff grid that gives way a little under load."""
        voltage = max(100, 2300 - self.power_w(at_ms) // 3000)
        return voltage, voltage + 4, voltage - 3

    def currents_ma(self, at_ms: int) -> tuple[int, int, int]:
        """The load spread evenly over the three phases, at 230 V and a power factor of 1."""
        current = self.power_w(at_ms) * 1000 // 690
        return current, current, current
