"""What a simulated C11DO1ETH does with a command, at most once for each id."""

from collections import OrderedDict
from typing import NamedTuple, Protocol

import msgspec

from edge_agent.protocols.c11do1eth import (
    Cmd,
    Directive,
    Frame,
    Result,
    Rsp,
    Verb,
    parse_directive,
    unwrap_key,
)
from edge_agent.simulators.c11do1eth_memory import Memory


class Outcome(NamedTuple):
    """What is answered, and what is sent behind the answer."""

    result: Result
    value: int | None = None
    frames: tuple[Frame, ...] = ()


class Obedient(Protocol):
    """The device as its orders see it. What returns frames gives what is to be sent at once."""

    device: str
    sealed: bool

    @property
    def memory(self) -> Memory: ...

    @property
    def secret(self) -> bytes: ...

    def switch(self, state: int, by: str, now_ms: int) -> list[Frame]: ...

    def preset(self, total: int, now_ms: int) -> list[Frame]: ...

    def read_back(self, first: int, last: int) -> list[Frame]: ...

    def clock_ms(self, now_ms: int) -> int: ...

    def set_clock(self, time_ms: int, now_ms: int) -> list[Frame]: ...

    def restart_soon(self) -> None: ...


class Orders:
    """Carries out commands and remembers its last answers; a known id is only answered again."""

    REMEMBERED = 64

    def __init__(self, device: Obedient) -> None:
        self._device = device
        self.answers: OrderedDict[str, Rsp] = OrderedDict()

    def carry_out(self, order: Cmd, now_ms: int) -> list[Frame]:
        """The answer, and what follows it."""
        if order.command in self.answers:
            return [self.answers[order.command]]
        done_ms = max(0, now_ms + self._device.memory.offset_ms)
        directive: Directive | None
        try:
            directive = parse_directive(order.verb, order.arguments)
        except ValueError:
            directive = None
        outcome = Outcome(Result.UNSUPPORTED)
        if done_ms > order.not_after_ms:
            outcome = Outcome(Result.EXPIRED)
        elif directive is not None:
            outcome = self._obey(directive, order.command, now_ms)
        answer = Rsp(self._device.device, order.command, outcome.result, outcome.value, done_ms)
        if directive is None or directive.changes:
            self.answers[order.command] = answer
            if len(self.answers) > self.REMEMBERED:
                self.answers.popitem(last=False)
        return [answer, *outcome.frames]

    def _obey(self, order: Directive, command: str, now_ms: int) -> Outcome:
        device, memory = self._device, self._device.memory
        frames: list[Frame] = []
        value = next((one for one in order.values if isinstance(one, int)), None)
        match order.verb, order.values:
            case Verb.OUT, _:
                return self._move(order, command, now_ms)
            case Verb.SAFE, (int(after_s),):
                memory.safe, memory.safe_s = order.word, after_s
            case Verb.SET, values:
                _set(memory, order.word, values)
            case Verb.PRESET, (int(total),):
                if device.sealed:
                    return Outcome(Result.REFUSED)
                frames = device.preset(total, now_ms)
            case Verb.READ, (int(first), int(last)):
                frames = device.read_back(first, last)
                value = len(frames)
            case Verb.TIME, (time_ms,):
                frames = device.set_clock(time_ms, now_ms) if isinstance(time_ms, int) else []
                value = device.clock_ms(now_ms)
            case Verb.REBOOT, _:
                device.restart_soon()
            case Verb.KEY, (str(wrapped), bytes(check)):
                key = unwrap_key(device.secret, device.device, command, wrapped, check)
                if key is None:
                    return Outcome(Result.REFUSED)
                memory.key = key.hex()
        return Outcome(Result.OK, value, tuple(frames))

    def _move(self, order: Directive, command: str, now_ms: int) -> Outcome:
        device, memory = self._device, self._device.memory
        frames: list[Frame] = []
        if order.changes:
            frames = device.switch(int(order.word != "OFF"), command, now_ms)
            memory.pulse = None
        for length_ms in order.values:
            if isinstance(length_ms, int):
                memory.pulse = (now_ms + length_ms, command)
        return Outcome(Result.OK, memory.output, tuple(frames))


def _set(memory: Memory, word: str, values: tuple[object, ...]) -> None:
    match word, values:
        case "edge", (str(edge),):
            memory.edge = edge
        case "weight", (int(numerator), int(denominator)):
            memory.weight = (numerator, denominator)
        case "limit" | "leak" | "standstill" | "stuck", numbers:
            fields = dict(zip(_LIMITS[word], numbers, strict=True))
            memory.thresholds = msgspec.structs.replace(memory.thresholds, **fields)
        case _, (int(number),):
            setattr(memory, _FIELDS[word], number)


_LIMITS = {
    "limit": ("limit_mhz",),
    "leak": ("leak_s", "pause_s"),
    "standstill": ("standstill_s",),
    "stuck": ("stuck_s",),
}
"""Keys of SET that are thresholds of the analysis → their fields."""

_FIELDS = {
    "period": "push_s",
    "logperiod": "log_s",
    "delta": "delta",
    "debounce": "debounce_ms",
    "config": "config",
}
"""Keys of SET that are one number → where it is remembered."""
