"""All registers of a meter: value, quality, the device's own count, OBIS, age."""

from cloud.dashboard import quantity
from cloud.dashboard.shell import card
from cloud.dashboard.widgets import Age, Pill, Text, Value, box, quality_name, quality_tone
from cloud.services.views import LatestView, MeterView

COLUMNS = (
    ("Register", ""),
    ("Value", "num"),
    ("Quality", ""),
    ("Raw count", "num phone-hide"),
    ("OBIS", "phone-hide"),
    ("Read", ""),
)


class RegisterTable:
    """Built once; ``show`` brings it up to date."""

    def __init__(self, meter: MeterView) -> None:
        with card("Registers"), box("table-wrap"), box("table", "table"):
            with box("", "thead"), box("", "tr"):
                for title, classes in COLUMNS:
                    Text(title, classes, "th").props["scope"] = "col"
            with box("", "tbody"):
                self._rows = {one.register.id: _Row(one) for one in meter.registers}

    def show(self, latest: dict[int, LatestView]) -> None:
        """The newest readings."""
        for number, row in self._rows.items():
            if number in latest:
                row.show(latest[number])


class _Row:
    def __init__(self, latest: LatestView) -> None:
        register = latest.register
        with box("", "tr"):
            with box("", "td"), box("name-cell"), box():
                Text(register.name, tag="b")
                Text(register.key, tag="small")
            with box("num", "td"):
                self._value = Value("index" if register.counting else "", f"value-{register.key}")
            with box("", "td"):
                self._quality = Pill()
            with box("num phone-hide", "td"):
                self._raw = Text("")
            with box("phone-hide", "td"):
                Text(register.obis or quantity.NOTHING, "mono quiet")
            with box("", "td"):
                self._age = Age()
        self.show(latest)

    def show(self, latest: LatestView) -> None:
        reading = latest.reading
        self._value.show(quantity.present(latest.register, reading))
        self._age.show(latest)
        if reading is None:
            self._quality.show("idle", "never read")
            return
        self._quality.show(quality_tone(reading.quality), quality_name(reading.quality))
        self._raw.text = quantity.NOTHING if reading.raw is None else quantity.count(reading.raw)
