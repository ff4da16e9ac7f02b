"""The configurations of gateways: what is desired, what each gateway reports, and what was before.

The cloud looks at syntax and size only; whether a configuration can run is for its gateway to say.
What is desired is published once, and again after every status of a gateway that runs something
older: it needs no timer, and costs nothing while the gateway is away.
"""

from collections.abc import Callable
from enum import StrEnum

from cloud.services.commands import Publication
from cloud.services.gateways import status_of
from cloud.services.views import ConfigurationView, ConfigVersionView
from cloud.storage.configurations import VersionRow
from cloud.storage.overview import GatewayRow
from cloud.storage.unit_of_work import Store, UnitOfWork
from common import topics
from common.clock import to_datetime
from common.errors import NotFound, Outdated, Permanent
from common.logs import events
from common.messages.downlink import MAX_TOML_BYTES, Configuration
from common.messages.envelope import encode
from common.messages.uplink import ConfigStatus
from common.settings import parse_toml

REPEAT_MS = 5_000
"""A version is not published again sooner, however many workers see the gateway's status."""

AT_ONCE = 20


class State(StrEnum):
    """What was last heard of a version."""

    PENDING = "pending"
    SENT = "sent"
    TRIAL = "trial"
    APPLIED = "applied"
    REFUSED = "refused"
    REPLACED = "replaced"


def get(store: Store, gateway_id: int) -> ConfigurationView:
    """What is desired of the gateway, and what it reports; raises NotFound."""
    with store.read() as uow:
        return _view(uow, _gateway(uow, gateway_id))


def versions(
    store: Store, gateway_id: int, limit: int = 100, before: int | None = None
) -> list[ConfigVersionView]:
    """What was desired of the gateway, newest first, without the texts; at most ``limit``.

    With ``before`` only earlier versions than that. Raises NotFound.
    """
    with store.read() as uow:
        if not uow.overview.gateway_exists(gateway_id):
            raise NotFound(f"there is no gateway {gateway_id}")
        return [_version(row) for row in uow.configurations.recent(gateway_id, limit, before)]


def version(store: Store, gateway_id: int, number: int) -> ConfigVersionView:
    """One version with its text; raises NotFound."""
    with store.read() as uow:
        found = _with_text(uow, gateway_id, number)
    if found is None:
        raise NotFound(f"gateway {gateway_id} has no configuration of version {number}")
    return found


def desire(
    store: Store,
    gateway_id: int,
    toml: str,
    *,
    set_by: str,
    reason: str = "",
    now_ms: int,
    replaces: Callable[[ConfigurationView], bool] = lambda _: True,
) -> ConfigurationView:
    """Have the gateway run by ``toml``, from now on. The same again makes no other version.

    ``replaces`` is asked, while nobody else can change it, whether what there is is what the
    caller means to replace.

    Raises NotFound, ConfigError for what is no TOML, Permanent when it is too long or the gateway
    cannot be configured from afar, Outdated when it is not what ``replaces`` expects.
    """
    _check(toml)

    def work(uow: UnitOfWork) -> ConfigurationView:
        uow.gateways.lock([gateway_id])
        gateway = _gateway(uow, gateway_id)
        status = status_of(gateway)
        if status and status.config is None:
            raise Permanent(f"the agent of gateway {gateway.key} takes no configurations")
        newest = uow.configurations.newest(gateway_id)
        before = _with_text(uow, gateway_id, newest)
        if before is None or before.toml != toml or before.state == State.REFUSED:
            if not replaces(_view(uow, gateway)):
                raise Outdated(f"the configuration of gateway {gateway.key} is another one by now")
            if before and before.state in {State.PENDING, State.SENT}:
                uow.configurations.note(gateway_id, newest, State.REPLACED, "", now_ms)
            # A database restored from a backup may know less than the gateway does.
            number = max(newest, _dealt_with(status.config if status else None)) + 1
            row = VersionRow(
                version=number,
                set_by=set_by[:200],
                reason=reason,
                set_at=now_ms,
                state=State.PENDING,
                detail="",
                state_at=now_ms,
                send_at=now_ms,
                sent_at=None,
            )
            uow.configurations.add(gateway_id, row, toml)
            events.info("gateway %s: version %d is desired by %s", gateway.key, number, set_by)
        return _view(uow, gateway)

    return store.run(work)


def note(uow: UnitOfWork, gateway_id: int, said: ConfigStatus, now_ms: int) -> None:
    """What the gateway reports. Where that is older than what is desired, it is sent again.

    The caller holds the gateway's lock.
    """
    newest = uow.configurations.newest(gateway_id)
    if not newest:
        return
    told = {said.version: (State.TRIAL if said.trial else State.APPLIED, "")}
    if said.refused:
        told[said.refused.version] = (State.REFUSED, said.refused.reason)
    rows = uow.configurations.versions(gateway_id, only={newest, *told})
    for row in rows:
        state, detail = told.get(row.version, (row.state, row.detail))
        if (row.state, row.detail) != (state, detail):
            uow.configurations.note(gateway_id, row.version, state, detail, now_ms)
    if newest > _dealt_with(said) and rows[0].send_at is None:
        again_at = (rows[0].sent_at or 0) + REPEAT_MS
        uow.configurations.send(gateway_id, newest, max(now_ms, again_at))


def claim_due(store: Store, now_ms: int) -> list[Publication]:
    """What to publish now; marked as sent before anybody sees it. Else costs no write."""
    with store.read() as reading:
        if not reading.configurations.anything_due(now_ms):
            return []

    def work(uow: UnitOfWork) -> list[Publication]:
        rows = uow.configurations.claim_due(now_ms, AT_ONCE)
        uow.configurations.sent(rows, State.SENT, now_ms)
        return [
            Publication(
                topics.down(row.gateway, "config"), encode(Configuration(row.version, row.toml))
            )
            for row in rows
        ]

    return store.run(work)


def _check(toml: str) -> None:
    try:
        content = toml.encode()
    except UnicodeEncodeError as error:
        raise Permanent("the configuration is not text in Unicode") from error
    if len(content) > MAX_TOML_BYTES:
        raise Permanent(
            f"the configuration has {len(content)} bytes; {MAX_TOML_BYTES} are possible"
        )
    parse_toml(content, dict, "the configuration")


def _dealt_with(said: ConfigStatus | None) -> int:
    """The greatest version that the gateway runs or has refused."""
    if said is None:
        return 0
    return max(said.version, said.refused.version if said.refused else 0)


def _gateway(uow: UnitOfWork, gateway_id: int) -> GatewayRow:
    found = uow.overview.gateways(gateway_id)
    if not found:
        raise NotFound(f"there is no gateway {gateway_id}")
    return found[0]


def _with_text(uow: UnitOfWork, gateway_id: int, number: int) -> ConfigVersionView | None:
    rows = uow.configurations.versions(gateway_id, only={number})
    return _version(rows[0], uow.configurations.toml(gateway_id, number)) if rows else None


def _view(uow: UnitOfWork, gateway: GatewayRow) -> ConfigurationView:
    status = status_of(gateway)
    said = status.config if status else None
    refused = said.refused if said else None
    return ConfigurationView(
        gateway_id=gateway.id,
        gateway=gateway.key,
        desired=_with_text(uow, gateway.id, uow.configurations.newest(gateway.id)),
        running=said.version if said else None,
        trial=said.trial if said else False,
        refused=refused.version if refused else None,
        refused_reason=refused.reason if refused else "",
        reported_at=to_datetime(status.at) if status and said else None,
    )


def _version(row: VersionRow, toml: str | None = None) -> ConfigVersionView:
    return ConfigVersionView(
        version=row.version,
        set_by=row.set_by,
        reason=row.reason,
        set_at=to_datetime(row.set_at),
        state=row.state,
        detail=row.detail,
        state_at=to_datetime(row.state_at),
        sent_at=None if row.sent_at is None else to_datetime(row.sent_at),
        toml=toml,
    )
