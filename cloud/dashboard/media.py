"""How each medium looks: its icon and the CSS class that carries its colour."""

import re

from cloud.services.views import MeterView
from common.registers import Medium

ICONS = {
    Medium.COLD_WATER: "drop",
    Medium.WATER: "drop",
    Medium.WASTE_WATER: "drop",
    Medium.HOT_WATER: "hot",
    Medium.GAS: "flame",
    Medium.ELECTRICITY: "bolt",
    Medium.HEAT: "heat",
    Medium.COOLING: "heat",
}

CLASSES = {
    Medium.COLD_WATER: "m-cold",
    Medium.WATER: "m-cold",
    Medium.COOLING: "m-cold",
    Medium.HOT_WATER: "m-hot",
    Medium.HEAT: "m-hot",
    Medium.GAS: "m-gas",
    Medium.ELECTRICITY: "m-electricity",
}


def icon_name(medium: Medium) -> str:
    return ICONS.get(medium, "other")


def css_class(medium: Medium) -> str:
    return CLASSES.get(medium, "m-other")


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts ``Stall 2`` before ``Stall 10``."""
    parts = re.findall(r"\d{1,18}|\D+", text.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def by_place(meter: MeterView) -> tuple[str, list[tuple[int, str]]]:
    """A key that sorts meters by site, then by name as people count."""
    return meter.site_name, natural(meter.name)


def label(medium: Medium) -> str:
    """``Cold water``."""
    return medium.label.capitalize()
