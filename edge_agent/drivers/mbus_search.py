"""The search for M-Bus meters by secondary address: wildcards, narrowed where several answer.

First the identification digit by digit, then, for meters with equal identifications, the bytes
of manufacturer, version and medium (EN 13757-3, 11.5; field.md, section 2).
"""

from collections.abc import AsyncGenerator, Iterable
from functools import partial
from typing import Final

from msgspec import Struct

from edge_agent.drivers.mbus_found import News, Progress, Trouble, meter_of, noise
from edge_agent.drivers.mbus_probe import Answer, Heard, Prober
from edge_agent.protocols.mbus.selection import ANY_BYTE, ANY_DIGIT, Secondary

DIGITS: Final = 8
LEVELS: Final = 12
"""Eight digits, then low and high byte of the manufacturer, version and medium."""
LETTERS: Final = range(1, 27)
DECIMAL: Final = frozenset(range(10))
MAKER_LOW: Final = frozenset(second << 5 | third for second in range(8) for third in LETTERS)
MAKER_HIGH: Final = frozenset(first << 2 | second for first in LETTERS for second in range(4))
"""Bytes of three letters A to Z, five bits each (EN 13757-3, 5.6)."""
ANY: Final = frozenset(range(ANY_BYTE))
LIKELY: Final = (*[DECIMAL] * DIGITS, MAKER_LOW, MAKER_HIGH, ANY, ANY)
POSSIBLE: Final = (*[frozenset(range(15))] * DIGITS, ANY, ANY, ANY, ANY)
"""Meters with hex digits, or makers of other characters, exist against the standard: they are
looked for where the likely values do not explain the answer to the mask."""


class Step(Struct):
    """A mask that is still to be asked, or, with ``parts``, to be explained by its parts.

    ``level`` is what is narrowed next, ``part`` the value by which this mask is narrower than
    the one before. ``meters`` counts those that the parts account for (2: several), ``silent``
    are the parts without an answer, ``last`` that nothing more will be tried.
    """

    mask: Secondary
    level: int
    part: int = -1
    parts: bool = False
    last: bool = False
    meters: int = 0
    silent: list[int] = []

    def __post_init__(self) -> None:
        highest = LEVELS - 1 if self.parts else LEVELS
        values = range(ANY_BYTE if self.level >= DIGITS else 15)
        sound = 0 <= self.level <= highest and all(part in values for part in self.silent)
        if not sound or len(self.mask.digits) != DIGITS or len(self.mask.to_bytes()) != DIGITS:
            raise ValueError("no such step of a search")


class SearchPosition(Struct, tag="secondary"):
    """What is still to be done, the next one last; nothing at the end."""

    steps: list[Step]

    @property
    def done(self) -> bool:
        return not self.steps


def search_from(mask: Secondary) -> SearchPosition:
    """Search for everything that the mask selects."""
    return SearchPosition([Step(mask, _open_level(mask, 0))])


async def search_secondary(prober: Prober, position: SearchPosition) -> AsyncGenerator[News, None]:
    """Ask mask after mask; ``position`` always says where to go on.

    Raises Unreachable and Disconnected; what was found by then stays true.
    """
    steps = position.steps
    done = 0.0
    quiet = False
    while steps:
        step = steps[-1]
        if step.parts:
            trouble = _explain(steps, steps.pop())
            if trouble is not None:
                yield trouble
            continue
        done = max(done, 1 - sum(map(_weight, steps)))
        yield Progress(done, f"secondary address {step.mask}")
        heard = await prober.steadily(partial(prober.secondary, step.mask))
        if heard.answer is Answer.SEVERAL and not (quiet and _is_plausible(steps)):
            quiet = not await prober.is_noisy()
            if not quiet:
                heard = Heard(Answer.NOISE, raw=heard.raw)
        for news in _take(steps, steps.pop(), heard):
            yield news
    yield Progress(1.0, "done")


def _is_plausible(steps: list[Step]) -> bool:
    """Whether another collision is nothing strange: not where a whole identification is shared,
    nor where every digit of a mask is answered."""
    step, parent = steps[-1], _parent(steps[:-1])
    everywhere = parent is not None and step.part == max(DECIMAL) and not parent.silent
    return step.level < DIGITS and not everywhere


def _take(steps: list[Step], step: Step, heard: Heard) -> list[News]:
    """Book an answer: with the mask that this one is part of, and as what is to be done next."""
    parent = _parent(steps)
    if parent is not None:
        parent.meters += {Answer.ONE: 1, Answer.SEVERAL: 2}.get(heard.answer, 0)
        if heard.answer is Answer.NOTHING and step.part >= 0:
            parent.silent.append(step.part)
    match heard.answer:
        case Answer.ONE:
            return [meter_of(heard.frames)]
        case Answer.SEVERAL if step.level == LEVELS:
            return [_equal(step.mask)]
        case Answer.SEVERAL if not step.last:
            _narrow(steps, step.mask, step.level, LIKELY[step.level])
        case Answer.SEVERAL | Answer.NOISE:
            return [noise(f"secondary address {step.mask}", heard.raw)]
    return []


def _explain(steps: list[Step], step: Step) -> Trouble | None:
    """The parts of a mask have been asked: do they account for several meters?

    If not, those that were silent are asked again, and the unlikely ones. If none answers then,
    a byte that meters do not let us choose is skipped, and an identification is asked as a whole
    for the last time. If only one does, the others cannot be selected.
    """
    if step.meters > 1:
        return None
    if step.meters and step.last:
        text = "several answered, and only one of them could be found: disconnect it, and search"
        return Trouble("collision", f"secondary address {step.mask}", text)
    if not step.last:
        again = set(step.silent) | (POSSIBLE[step.level] - LIKELY[step.level])
        _narrow(steps, step.mask, step.level, again, last=True, meters=step.meters)
    elif step.level < DIGITS:
        steps.append(Step(step.mask, step.level, last=True))
    elif step.level + 1 < LEVELS:
        _narrow(steps, step.mask, step.level + 1, LIKELY[step.level + 1])
    else:
        return _equal(step.mask)
    return None


def _equal(mask: Secondary) -> Trouble:
    text = "several meters with the same identification, manufacturer, version and medium"
    return Trouble("collision", f"secondary address {mask}", text)


def _narrow(
    steps: list[Step],
    mask: Secondary,
    level: int,
    values: Iterable[int],
    *,
    last: bool = False,
    meters: int = 0,
) -> None:
    """Have parts of a mask asked, and then looked at together."""
    steps.append(Step(mask, level, parts=True, last=last, meters=meters))
    for value in sorted(values, reverse=True):
        if level < DIGITS:
            narrowed = mask.with_digit(level, f"{value:X}")
        else:
            narrowed = mask.with_byte(level - DIGITS, value)
        steps.append(Step(narrowed, _open_level(narrowed, level + 1), part=value))


def _parent(steps: list[Step]) -> Step | None:
    return next((step for step in reversed(steps) if step.parts), None)


def _open_level(mask: Secondary, level: int) -> int:
    """The first level from here on that the mask leaves open."""
    while level < LEVELS and not (
        mask.digits[level] == ANY_DIGIT if level < DIGITS else mask.rest[level - DIGITS] == ANY_BYTE
    ):
        level += 1
    return level


def _weight(step: Step) -> float:
    """How much of the whole search a step is, by the digits and bytes that its mask says."""
    if step.parts:
        return 0.0
    said = DIGITS - step.mask.digits.count(ANY_DIGIT)
    return 10.0**-said * 200.0 ** (step.mask.rest.count(ANY_BYTE) - 4)
