"""Drawings of outputs: a glass roof whose vents open and close, and a lamp for everything else.

The drawing moves by CSS: the classes ``on``, ``off`` and ``unknown`` are all that changes.
"""

from cloud.services.views import OutputView

ROOF_STATES = ("closed", "open")
WIDTH, EAVES, RIDGE, GROUND = 560, 150, 78, 236
BAY = 148


def _bay(left: int) -> str:
    middle, right = left + BAY // 2, left + BAY
    bars = "".join(
        f'<path class="bar" d="M{left + step} {EAVES}v{GROUND - EAVES}"/>' for step in (37, 74, 111)
    )
    plants = "".join(_plant(left + x, h) for x, h in ((24, 30), (56, 44), (92, 36), (124, 46)))
    end_x, end_y = middle + (right - middle) * 0.86, RIDGE + (EAVES - RIDGE) * 0.86
    return (
        f'<path class="wall" d="M{left} {GROUND}V{EAVES}L{middle} {RIDGE}L{right} {EAVES}'
        f'V{GROUND}z"/>'
        f"{bars}{plants}"
        f'<path class="air" d="M{middle + 26} {RIDGE + 34}q10-16 2-30t6-34"/>'
        f'<path class="air" d="M{middle + 48} {RIDGE + 44}q10-16 2-30t6-34"/>'
        f'<path class="slope" d="M{left} {EAVES}L{middle} {RIDGE}M{end_x:.0f} {end_y:.0f}'
        f'L{right} {EAVES}"/>'
        f'<path class="opening" d="M{middle} {RIDGE}L{end_x:.0f} {end_y:.0f}"/>'
        f'<g class="vent" style="transform-origin:{middle}px {RIDGE}px">'
        f'<path class="pane" d="M{middle} {RIDGE}L{end_x:.0f} {end_y:.0f}"/>'
        f'<path class="edge" d="M{middle} {RIDGE}L{end_x:.0f} {end_y:.0f}"/></g>'
    )


def _plant(x: int, height: int) -> str:
    """A stem with pairs of leaves up to ``height``."""
    leaves = "".join(
        f"M{x} {GROUND - up}q-4-11-14-12q1 10 14 12zq4-11 14-12q-1 10-14 12z"
        for up in range(6, height - 6, 12)
    )
    return (
        f'<path class="plant" d="M{x - 1} {GROUND}v-{height}q1-4 2 0v{height}z{leaves}'
        f'M{x} {GROUND - height}m-5 0a5 6 0 1 0 10 0a5 6 0 1 0-10 0z"/>'
    )


def roof() -> str:
    """Three bays of a glass house; the vents hang on the ridges."""
    bays = "".join(_bay(58 + number * BAY) for number in range(3))
    return (
        f'<svg viewBox="0 22 {WIDTH} 240" aria-hidden="true">'
        '<circle class="sun" cx="36" cy="70" r="17"/>'
        f'<path class="ground" d="M-900 {GROUND}h{WIDTH + 1800}v30H-900z"/>{bays}</svg>'
    )


def lamp() -> str:
    """A lamp that is lit while the output is 1."""
    return (
        '<svg viewBox="0 0 560 262" aria-hidden="true"><circle class="lamp" cx="280" cy="131" '
        'r="46"/><circle cx="280" cy="131" r="66" fill="none" stroke="var(--line-strong)" '
        'stroke-width="6"/></svg>'
    )


def drawing(output: OutputView) -> str:
    """The drawing that fits the output."""
    return roof() if output.register.states == ROOF_STATES else lamp()


def scene_class(output: OutputView) -> str:
    """How the drawing stands: as read back, never as wished."""
    value = output.reading.value if output.reading else None
    return "scene " + ("unknown" if value is None else "on" if value == 1 else "off")


def state_name(output: OutputView) -> str:
    """The state as read back: ``open``; ``unknown`` before the first reading."""
    if output.reading is None or output.reading.value is None:
        return "unknown"
    states = output.register.states or ("off", "on")
    return states[1 if output.reading.value == 1 else 0]
