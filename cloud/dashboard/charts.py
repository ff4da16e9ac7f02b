"""Options for ECharts. Drawn as SVG, so that colours can be CSS properties and follow the theme.

Times are shifted to the site's zone and the chart is told that they are UTC: everybody sees the
site's own clock.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast
from zoneinfo import ZoneInfo

from nicegui import ui

from cloud.dashboard import quantity
from cloud.services.views import ConsumptionView
from common.clock import to_ms
from common.registers import Kind

Point = tuple[datetime, Decimal]
Json = dict[str, object]

HATCH = "hatch"
FILL = "var(--medium-fill)"
HATCHING = (
    f'<svg width="0" height="0" aria-hidden="true" style="position:absolute"><pattern id="{HATCH}" '
    'width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    f'<rect width="5" height="5" fill="{FILL}" opacity=".16"/>'
    f'<path d="M1 0v5" stroke="{FILL}" stroke-width="1.7"/></pattern></svg>'
)

_LABEL: Json = {"color": "var(--ink-3)", "fontSize": 11.5, "fontFamily": "inherit"}
_TOOLTIP: Json = {
    "trigger": "axis",
    "confine": True,
    "padding": [8, 12],
    "backgroundColor": "var(--raised)",
    "borderColor": "var(--line-strong)",
    "textStyle": {"color": "var(--ink)", "fontSize": 12.5, "fontFamily": "inherit"},
    "extraCssText": "box-shadow:var(--shadow-2);border-radius:9px",
}


def site_ms(at: datetime, zone: ZoneInfo) -> int:
    """Epoch milliseconds that read, taken as UTC, like ``at`` on the site's clock."""
    offset = at.astimezone(zone).utcoffset() or timedelta()
    return to_ms(at) + offset // timedelta(milliseconds=1)


def points(
    series: Sequence[Point], kind: Kind, zone: ZoneInfo, interval: timedelta
) -> list[list[float | None]]:
    """Chart points; the line is broken where much longer than usual nothing was read.

    Usual is the interval that the register promises, or the pause before, if that was longer:
    history may be sparser than what is live.
    """
    factor, _ = quantity.plot_scale(kind)
    made: list[list[float | None]] = []
    usual = series[1][0] - series[0][0] if len(series) > 1 else interval
    for index, (at, value) in enumerate(series):
        if index:
            before = series[index - 1][0]
            if at - before > 4 * max(usual, interval):
                made.append([site_ms(before, zone) + 1, None])
            usual = at - before
        made.append([site_ms(at, zone), float(value * factor)])
    return made


def line(
    data: list[list[float | None]], kind: Kind, start: datetime, end: datetime, zone: ZoneInfo
) -> Json:
    """A register over time, from ``start`` to ``end`` or to its newest point."""
    _, unit = quantity.plot_scale(kind)
    pointer: Json = {"lineStyle": {"color": "var(--line-strong)"}, "label": {"show": False}}
    return {
        "animation": False,
        "useUTC": True,
        "grid": {"left": 8, "right": 14, "top": 16, "bottom": 4, "containLabel": True},
        "tooltip": {
            **_TOOLTIP,
            "axisPointer": pointer,
            ":formatter": f"points => inmetter.tip(points, {unit!r})",
        },
        "xAxis": {
            "type": "time",
            "min": site_ms(start, zone),
            ":max": f"range => Math.max(range.max, {site_ms(end, zone)})",
            "axisLine": {"lineStyle": {"color": "var(--line-strong)"}},
            "axisTick": {"show": False},
            "splitLine": {"show": False},
            "axisLabel": {**_LABEL, "hideOverlap": True, ":formatter": "inmetter.when"},
        },
        "yAxis": _value_axis(scale=kind not in {Kind.POWER, Kind.FLOW}),
        "series": [
            {
                "type": "line",
                "showSymbol": False,
                "emphasis": {"disabled": True},
                "lineStyle": {"width": 1.8, "color": FILL},
                "itemStyle": {"color": FILL},
                "areaStyle": {"color": FILL, "opacity": 0.1},
                "data": data,
            }
        ],
    }


def bars(periods: Sequence[ConsumptionView], kind: Kind, zone: ZoneInfo, labels: str) -> Json:
    """Consumption by period; ``labels`` is a strftime format. What is estimated is hatched."""
    factor, unit = quantity.plot_scale(kind)
    return {
        "animation": False,
        "grid": {"left": 8, "right": 14, "top": 16, "bottom": 4, "containLabel": True},
        "tooltip": {
            **_TOOLTIP,
            "axisPointer": {
                "type": "shadow",
                "shadowStyle": {"color": "var(--ink)", "opacity": 0.05},
            },
            ":formatter": f"points => inmetter.tip(points, {unit!r})",
        },
        "xAxis": {
            "type": "category",
            "data": [f"{p.start.astimezone(zone):{labels}}" for p in periods],
            "axisLine": {"lineStyle": {"color": "var(--line-strong)"}},
            "axisTick": {"show": False},
            "axisLabel": {**_LABEL, "hideOverlap": True},
        },
        "yAxis": _value_axis(scale=False),
        "series": [
            {
                "type": "bar",
                "barCategoryGap": "28%",
                "barMaxWidth": 26,
                "emphasis": {"disabled": True},
                "itemStyle": {"color": FILL, "borderRadius": [3, 3, 0, 0]},
                "data": [_bar(period, factor) for period in periods],
            }
        ],
    }


def _bar(period: ConsumptionView, factor: Decimal) -> Json:
    value = None if period.value is None else float(period.value * factor)
    if not period.estimated or value is None:
        return {"value": value}
    return {"value": value, "name": "estimated", "itemStyle": {"color": f"url(#{HATCH})"}}


def _value_axis(*, scale: bool) -> Json:
    return {
        "type": "value",
        "scale": scale,
        "splitNumber": 4,
        "axisLabel": {**_LABEL, ":formatter": "value => inmetter.number(value)"},
        "splitLine": {"lineStyle": {"color": "var(--line)"}},
    }


def chart(options: Json, description: str) -> ui.echart:
    """The chart; ``description`` is what a screen reader says of it."""
    made = ui.echart(cast(dict, options), renderer="svg")  # type: ignore[type-arg]
    made.props["role"] = "img"
    made.props["aria-label"] = description
    return made


def redraw(made: ui.echart, options: Json) -> None:
    """Show other options, if they differ."""
    if made.options != options:
        made.options.clear()
        made.options.update(options)
        made.update()


def spark(periods: Sequence[ConsumptionView]) -> str:
    """Small bars of a day's consumption by hour; what is estimated is paler."""
    values = [max(p.value or Decimal(0), Decimal(0)) for p in periods]
    top = max(values, default=Decimal(0)) or Decimal(1)
    width = Decimal(240) / max(len(values), 1)
    drawn = []
    for number, (period, value) in enumerate(zip(periods, values, strict=True)):
        x = number * width
        last = number == len(values) - 1
        kind = "last" if last else "estimated" if period.estimated else ""
        height = max(value / top * 36, Decimal(1)) if period.value is not None else Decimal(0)
        name = "base" if value == 0 else f"bar {kind}".strip()
        drawn.append(
            f'<rect class="{name}" x="{x + 1:.1f}" y="{44 - height:.1f}" width="{width - 2:.1f}" '
            f'height="{height:.1f}" rx="1"/>'
        )
    return (
        '<svg viewBox="0 0 240 44" preserveAspectRatio="none" aria-hidden="true">'
        f"{''.join(drawn)}</svg>"
    )
