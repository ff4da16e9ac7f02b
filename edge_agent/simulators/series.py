"""The measured data that the simulated world follows; see ``series/NOTICE`` for its origin."""

import csv
import random
from functools import cache
from importlib import resources

from common.errors import ConfigError

HOURLY = ("uk_electricity", "uk_gas")
DRAW_OFFS = "draw_offs_workshop"
STANDARD = ("standard_business", "standard_heating", "standard_household")
HOURS = 4 * 7 * 24
MILLION = 1_000_000


def _rows(name: str) -> list[list[str]]:
    path = resources.files("edge_agent.simulators") / "series" / f"{name}.csv"
    return list(csv.reader(path.read_text("utf-8").splitlines()))[1:]


@cache
def hourly(name: str) -> tuple[int, ...]:
    """Energy of a real meter in Wh for each hour of four weeks, from a Monday 00:00 UTC.

    Raises ConfigError when there is no such series.
    """
    if name not in HOURLY:
        raise ConfigError(f"series {name!r} is not one of {', '.join(HOURLY)}")
    return tuple(int(value) for _, value in _rows(name))


@cache
def standard(name: str) -> tuple[int, ...]:
    """Energy in Wh for each hour of a week from a Monday 00:00 UTC, 1000 in the mean.

    The shapes are our own assumption, of the kind that standard load profiles have: no measured
    data and no table of somebody else's is in them. Raises ConfigError when there is none such.
    """
    if name not in STANDARD:
        raise ConfigError(f"series {name!r} is not one of {', '.join(STANDARD)}")
    work, saturday, sunday = zip(*(map(int, row[1:]) for row in _rows(name)), strict=True)
    return work * 5 + saturday + sunday


@cache
def draw_off_shares() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Share of a day's draw-offs in each hour, in millionths: a working day, a day off."""
    rows = _rows(DRAW_OFFS)
    return tuple(int(work) for _, work, _ in rows), tuple(int(off) for _, _, off in rows)


def draw_offs(
    seed: str, litres_a_day: int, litres_each: int, days_off: bool
) -> tuple[tuple[int, ...], int]:
    """Flow in ml/h for each minute of four weeks, and the length of one step in ms.

    As OpenDHW does it: a day has litres_a_day / litres_each draw-offs, thrown on its hours by the
    measured shares and on a minute of the hour at random; each is half to one and a half times
    the mean volume. The same seed always gives the same four weeks.
    """
    chance = random.Random(seed)
    work, off = draw_off_shares()
    minutes = [0] * (HOURS * 60)
    for day in range(HOURS // 24):
        shares = off if days_off and day % 7 >= 5 else work
        for hour, share in enumerate(shares):
            expected = litres_a_day * share / litres_each / MILLION
            for _ in range(int(expected + chance.random())):
                minute = (day * 24 + hour) * 60 + int(chance.random() * 60)
                volume_ml = int(litres_each * 1000 * (0.5 + chance.random()))
                minutes[minute] += volume_ml * 60
    return tuple(minutes), 60_000
