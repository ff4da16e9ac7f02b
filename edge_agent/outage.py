"""What keeps the gateway's entries from the cloud: the network, the broker, or the cloud itself."""

from common.clock import Clock
from common.logs import events
from common.messages.uplink import Event

WORTH_TELLING_S = 10.0

CLOUD = "cloud"
"""The broker is there, and nobody answers: the cloud's application is down."""

WORDS = {
    "network": "the broker's computer cannot be reached: the network",
    "broker": "the broker's computer is there, the broker does not answer",
    "login": "the broker does not let us in",
    CLOUD: "the broker is there, the cloud's application does not answer",
}


class Outage:
    """Told in the log whenever its cause changes; ``over`` gives an event about the whole of it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s = 0.0
        self._since_ms = 0
        self._causes: list[str] = []

    @property
    def cause(self) -> str:
        """One of WORDS' keys; empty while all is well."""
        return self._causes[-1] if self._causes else ""

    def note(self, cause: str) -> None:
        """It is this, now."""
        if not self._causes:
            self._since_s, self._since_ms = self._clock.monotonic(), self._clock.now_ms()
        if cause != self.cause:
            events.warning("no way to the cloud: %s", WORDS[cause])
            self._causes.append(cause)

    def over(self) -> Event | None:
        """The cloud has answered; the event about an outage that is worth telling."""
        if not self._causes:
            return None
        lasted_s = round(self._clock.monotonic() - self._since_s)
        causes, self._causes = list(dict.fromkeys(self._causes)), []
        events.info("the cloud answers again after %d s", lasted_s)
        if lasted_s < WORTH_TELLING_S:
            return None
        return Event(
            self._clock.now_ms(),
            "cloud_back",
            "info",
            f"for {lasted_s} s the cloud was out of reach: " + "; ".join(WORDS[c] for c in causes),
            data={"since": self._since_ms, "lasted_s": lasted_s, "causes": ",".join(causes)},
        )
