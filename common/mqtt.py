"""One MQTT connection that comes back. The only module that knows the client library."""

import asyncio
import math
import random
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import cast

import aiomqtt
from msgspec import Struct
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from common.clock import Clock
from common.errors import Retryable, Unreachable
from common.logs import events
from common.settings import read_secret

QUEUED_BYTES = 32 * 1_048_576
"""What is held for a slow reader; more is dropped, and sent again for want of an ack."""

MESSAGE_BYTES = 1_024
"""What a message takes besides its payload, roughly."""

UNANSWERED_CALLS = 10_000
"""Publishes that wait for their PUBACK before the client library complains."""

REFUSED = 0x80
"""Codes of a SUBACK from here on are refusals (MQTT 3.1.1, 3.9.3)."""

_UNANSWERED = "Operation timed out"
"""How the client library calls a TCP connection on which no CONNACK comes."""

PUBACK_WITHIN_S = 60.0
"""Behind a slow line a PUBACK takes long; a connection that is gone is noticed without it."""


class Trouble(StrEnum):
    """Why there is no connection to the broker."""

    NETWORK = "network"
    BROKER = "broker"
    LOGIN = "login"


class MqttSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the broker is. ``tls_ca_file`` turns TLS on."""

    host: str = "127.0.0.1"
    port: int = 1883
    username: str = ""
    password_file: str = ""
    tls_ca_file: str = ""
    keepalive_s: int = 10


_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL, for which Python has no name."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says, retained, when this client is gone without a word."""

    topic: str
    payload: bytes


class _Inbox(asyncio.Queue[aiomqtt.Message]):
    """What has come and is not read yet: limited by its bytes, not by the number of messages."""

    def __init__(self) -> None:
        super().__init__()
        self._bytes = 0

    def full(self) -> bool:
        return self._bytes >= QUEUED_BYTES

    def _put(self, item: aiomqtt.Message) -> None:
        self._bytes += _size(item)
        super()._put(item)

    def _get(self) -> aiomqtt.Message:
        item = super()._get()
        self._bytes -= _size(item)
        return item


def _size(message: aiomqtt.Message) -> int:
    payload = message.payload
    return MESSAGE_BYTES + (len(payload) if isinstance(payload, bytes) else 0)


class MqttSession:
    """A connection to the broker, with its subscriptions; reconnects for ever.

    A clean session: whatever must not be lost is acknowledged end to end, above this class.
    Nothing but ``run`` is needed to keep it alive. Messages are read between calls of
    ``on_connect`` and ``on_message``, which therefore wait for no ``publish``. While the computer's
    clock is wrong (``knows_date``), a certificate's dates are not looked at, all else of it is.
    """

    def __init__(
        self,
        settings: MqttSettings,
        client_id: str,
        *,
        clock: Clock,
        subscriptions: Sequence[str],
        on_message: Callable[[str, bytes], Awaitable[None]],
        on_connect: Callable[[], Awaitable[None]] | None = None,
        will: Callable[[], Will] | None = None,
        on_trouble: Callable[[Trouble], None] = lambda _: None,
        knows_date: Callable[[], bool] = lambda: True,
    ) -> None:
        self._knows_date = knows_date
        self._settings = settings
        self._client_id = client_id
        self._clock = clock
        self._subscriptions = subscriptions
        self._on_message = on_message
        self._on_connect = on_connect
        self._will = will
        self._on_trouble = on_trouble
        self._client: aiomqtt.Client | None = None
        self._waiting: set[asyncio.Timeout] = set()
        self.connects = 0
        self.connects_failed = 0
        self.disconnects = 0
        self.publishes_failed = 0
        self.last_error = ""

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted us and not gone since, as far as is known."""
        return self._client is not None

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Hand a message to the broker (QoS 1) and wait for its PUBACK, which proves nothing more.

        Raises Unreachable when there is no connection, it breaks meanwhile, or PUBACK_WITHIN_S
        have passed.
        """
        try:
            await self._publish(topic, payload, retain=retain)
        except Unreachable:
            self.publishes_failed += 1
            raise

    async def _publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        client = self._client
        if client is None:
            raise Unreachable("no connection to the MQTT broker")
        try:
            async with asyncio.timeout(PUBACK_WITHIN_S) as patience:
                self._waiting.add(patience)
                try:
                    await client.publish(topic, payload, qos=1, retain=retain, timeout=math.inf)
                finally:
                    self._waiting.discard(patience)
        except TimeoutError as error:
            raise Unreachable("MQTT: no PUBACK") from error
        except aiomqtt.MqttError as error:
            heed_cancellation()
            raise Unreachable(f"MQTT: {error}") from error
        heed_cancellation()

    async def run(self) -> None:
        """Connect, serve, and connect again after a random, growing pause."""
        while True:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(Retryable),
                wait=wait_random_exponential(multiplier=0.2, max=15),
                sleep=self._clock.sleep,
            ):
                with attempt:
                    await self._serve_once()
            await self._clock.sleep(random.uniform(0.05, 0.3))

    async def _serve_once(self) -> None:
        """One connection's life; raises Unreachable when the broker never welcomed us."""
        welcomed, inbox = False, _Inbox()
        try:
            async with self._new_client(inbox) as client:
                for topic in self._subscriptions:
                    await client.subscribe(topic, qos=1)
                self._client = client
                self.connects += 1
                welcomed = True
                heed_cancellation()
                events.info("MQTT %s: connected", self._client_id)
                if self._on_connect:
                    await self._on_connect()
                async for message in client.messages:
                    await self._read(message)
                    # What else has come is read without the iterator's two tasks a message.
                    while not inbox.empty():
                        await self._read(inbox.get_nowait())
        except (aiomqtt.MqttError, OSError, Retryable) as error:
            heed_cancellation()
            if str(error) != self.last_error or welcomed:
                events.warning("MQTT %s: connection lost: %s", self._client_id, error)
            self.last_error = str(error)
            if not welcomed:
                self.connects_failed += 1
                self._on_trouble(trouble_of(error))
                raise Unreachable(f"MQTT: {error}") from error
        finally:
            self._client = None
            self.disconnects += welcomed
            for patience in self._waiting:
                patience.reschedule(0)  # the client library would not tell them

    async def _read(self, message: aiomqtt.Message) -> None:
        if isinstance(message.payload, bytes):
            await self._on_message(str(message.topic), message.payload)

    def _new_client(self, inbox: _Inbox) -> aiomqtt.Client:
        will = self._will() if self._will else None
        return _client(self._settings, self._client_id, inbox, will, dates=self._knows_date())


def trouble_of(error: Exception) -> Trouble:
    """What keeps us from the broker, by the error of an attempt to connect.

    Where its computer answers but nothing listens, or what listens says nothing, it is the broker;
    where not even that can be told, the network.
    """
    if isinstance(error, aiomqtt.exceptions.MqttConnectError):
        return Trouble.LOGIN
    # The client library hides what it met: "from None" leaves the context.
    met = error if isinstance(error, OSError) else error.__context__
    if isinstance(met, ConnectionError) or not isinstance(met, OSError):
        return Trouble.BROKER
    unanswered = isinstance(met, TimeoutError) and str(error) == _UNANSWERED
    return Trouble.BROKER if unanswered else Trouble.NETWORK


def _tls(settings: MqttSettings, *, dates: bool) -> ssl.SSLContext | None:
    if not settings.tls_ca_file:
        return None
    context = ssl.create_default_context(cafile=settings.tls_ca_file)
    if not dates:
        context.verify_flags |= _NO_CHECK_TIME
    return context


def _client(
    settings: MqttSettings,
    client_id: str,
    inbox: _Inbox,
    will: Will | None = None,
    *,
    dates: bool = True,
) -> aiomqtt.Client:
    password = read_secret(Path(settings.password_file)) if settings.password_file else None
    client = aiomqtt.Client(
        settings.host,
        settings.port,
        username=settings.username or None,
        password=password,
        identifier=client_id,
        clean_session=True,
        keepalive=settings.keepalive_s,
        timeout=settings.keepalive_s,
        will=aiomqtt.Will(will.topic, will.payload, qos=1, retain=True) if will else None,
        tls_context=_tls(settings, dates=dates),
        # Called as the class is: there is no other way to have the queue in hand.
        queue_type=cast("type[asyncio.Queue[aiomqtt.Message]]", lambda maxsize: inbox),
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )
    client.pending_calls_threshold = UNANSWERED_CALLS  # below it, silence: a window is normal
    return client


async def try_login(
    settings: MqttSettings, client_id: str, subscriptions: Sequence[str] = ()
) -> None:
    """Connect once, subscribe, and leave. Raises Unreachable with the broker's reason."""
    try:
        async with _client(settings, client_id, _Inbox()) as client:
            for topic in subscriptions:
                granted = await client.subscribe(topic, qos=1)
                codes = [code if isinstance(code, int) else code.value for code in granted]
                if any(code >= REFUSED for code in codes):
                    raise Unreachable(f"MQTT: {topic} may not be subscribed to")
    except (aiomqtt.MqttError, OSError) as error:
        heed_cancellation()
        raise Unreachable(f"MQTT: {error}") from error


def heed_cancellation() -> None:
    """To be called after the client library had the word: it can swallow a cancellation.

    It waits with ``asyncio.wait_for``, which before Python 3.12 drops one that comes in the same
    turn as the result (python/cpython#86296), or puts its own error in its place.
    """
    task = asyncio.current_task()
    if task and task.cancelling():
        raise asyncio.CancelledError
