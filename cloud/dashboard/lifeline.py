"""The life of a command, step by step, with the time that each step took."""

from zoneinfo import ZoneInfo

from cloud.dashboard import quantity
from cloud.dashboard.icons import icon
from cloud.dashboard.widgets import Text, box, named, restyle, svg
from cloud.services.views import CommandView, StepView
from common.clock import to_ms

WAY = ("pending", "sent", "accepted", "succeeded")
TITLES = {
    "pending": "Ordered",
    "sent": "Sent to the gateway",
    "accepted": "Accepted by the gateway",
    "succeeded": "Done, and read back",
    "failed": "Failed",
    "rejected": "Refused by the gateway",
    "expired": "Expired, not carried out",
    "cancelled": "Cancelled before it was sent",
    "unconfirmed": "Outcome unknown",
}
MEANINGS = {
    "failed": "The gateway tried, and the output did not follow.",
    "rejected": "The gateway will not do this.",
    "expired": "Its time ran out before it could be carried out.",
    "cancelled": "Nothing was sent.",
    "unconfirmed": "No result came back in time: the output may or may not have moved. "
    "A late result still settles it.",
}
TONES = {"succeeded": "ok", "failed": "bad", "rejected": "bad", "expired": "warn"}


def under_way(command: CommandView) -> bool:
    """Whether something is still waited for."""
    return command.state in {"pending", "sent", "accepted"}


def tone(state: str) -> str:
    """How loudly a command's state is shown."""
    return TONES.get(state, "accent" if state in WAY else "warn")


class LifeLine:
    """Four steps that fill as reports arrive; a bad end takes the place of the last."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._frame = box("life", "ol")
        self._frame.props["aria-live"] = "polite"
        with self._frame:
            self._steps = [_Step(number, zone) for number in range(len(WAY))]
        self._state = named(Text("", "sr"), "command-state")

    def show(self, command: CommandView) -> None:
        """The command as it is now."""
        self._state.text = command.state
        came = {step.state: step for step in command.steps}
        before: StepView | None = None
        bad = command.state not in WAY
        reached = max((WAY.index(s) for s in came if s in WAY), default=0)
        for number, (part, state) in enumerate(zip(self._steps, WAY, strict=True)):
            if number == len(WAY) - 1 and bad:
                state = command.state  # noqa: PLW2901 the end that it really had
            step = came.get(state)
            over = number < reached or step is not None
            look = "bad" if bad and number == len(WAY) - 1 else "done" if over else "ahead"
            if look == "ahead" and number == reached + 1 and not command.final and not bad:
                look = "now"
            part.show(look, TITLES.get(state, state), step, before, _why(command, state, step))
            before = step or before


def _why(command: CommandView, state: str, step: StepView | None) -> str:
    if state == "pending":
        return f"by {command.issued_by}" + (f": {command.reason}" if command.reason else "")
    detail = step.detail if step else ""
    return " ".join(part for part in (MEANINGS.get(state, ""), detail) if part)


class _Step:
    def __init__(self, number: int, zone: ZoneInfo) -> None:
        self._zone = zone
        self._frame = box("step ahead", "li")
        with self._frame:
            with box("dot", "span"):
                svg(icon("check"))
            self._title = Text(TITLES[WAY[number]], "title")
            self._after = Text("", "after")
            self._why = Text("", "why")

    def show(
        self, look: str, title: str, step: StepView | None, before: StepView | None, why: str
    ) -> None:
        restyle(self._frame, f"step {look}")
        self._title.text = title
        self._why.text = why
        if step is None:
            self._after.text = ""
        elif before is None:
            at = step.at.astimezone(self._zone)
            self._after.text = f"{at:%H:%M:%S}.{to_ms(at) % 1000:03d}"
        else:
            self._after.text = f"+{quantity.duration(step.at - before.at)}"
