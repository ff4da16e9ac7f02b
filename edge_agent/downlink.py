"""What the cloud says to this gateway: told apart, decoded, handed on."""

from collections.abc import Awaitable, Callable

from common import topics
from common.errors import Undecodable
from common.logs import events
from common.messages.downlink import Ack, Command, Configuration, Resume
from common.messages.envelope import decode

LAST_SEQ = 2**62


class Downlink:
    """Hands each message to whom it is for. What cannot be decoded is logged, counted, dropped."""

    def __init__(
        self,
        gateway: str,
        *,
        on_ack: Callable[[Ack], None],
        on_resume: Callable[[Resume], Awaitable[None]],
        on_command: Callable[[Command], None],
        on_config: Callable[[Configuration], None],
    ) -> None:
        self._gateway = gateway
        self._on_ack = on_ack
        self._on_resume = on_resume
        self._on_command = on_command
        self._on_config = on_config
        self.undecodable = 0

    async def receive(self, topic: str, payload: bytes) -> None:
        """One message. Never raises for what is in it."""
        try:
            await self._hand_on(topic, payload)
        except Undecodable as error:
            self.undecodable += 1
            events.warning("downlink: dropped: %s", error)

    async def _hand_on(self, topic: str, payload: bytes) -> None:
        gateway, direction, leaf = topics.parse(topic)
        if gateway != self._gateway or direction != "down":
            raise Undecodable(f"topic {topic} is not for gateway {self._gateway}")
        if leaf == "ack":
            self._on_ack(decode(payload, Ack))
        elif leaf == "resume":
            resume = decode(payload, Resume)
            if not all(1 <= first <= last <= LAST_SEQ for first, last in resume.committed):
                raise Undecodable("resume: a range is empty or out of bounds")
            await self._on_resume(resume)
        elif leaf == "command":
            self._on_command(decode(payload, Command))
        else:
            self._on_config(decode(payload, Configuration))
