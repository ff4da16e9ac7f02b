"""A configuration in the cloud: desired, sent as often as needed, and what became of it."""

import threading

import pytest

from cloud.services import configuration
from cloud.services.configuration import REPEAT_MS, desire
from cloud.services.ingest import Received, ingest
from cloud.services.store import Store
from common.errors import ConfigError, NotFound, Permanent
from common.messages.downlink import MAX_TOML_BYTES, Configuration
from common.messages.envelope import MAX_BYTES, decode, encode
from common.messages.uplink import ConfigStatus, RefusedConfig, Status
from tests.harness.says import NOW, STREAM, Gateway

TOML = '[gateway]\nid = "gw-1"\n'
OWN = ConfigStatus()


class Reporter:
    """Gateway ``gw-1``, which is known and says what it runs."""

    def __init__(self, store: Store, first: ConfigStatus | None = OWN) -> None:
        self._store = store
        ingest(store, [Gateway().hello()], NOW)
        self.says(first, NOW)
        with store.read() as uow:
            self.id = uow.gateways.ids(["gw-1"])["gw-1"]

    def says(self, config: ConfigStatus | None, at: int, *, session: int = 1) -> None:
        status = Status(STREAM, True, 1, session, at, config=config)
        ingest(self._store, [Received("inmetter/v1/gw-1/up/status", encode(status), at)], at)

    def wants(self, toml: str = TOML, at: int = NOW) -> int:
        """The version that is desired by then."""
        view = desire(self._store, self.id, toml, set_by="ana", reason="more", now_ms=at)
        assert view.desired
        return view.desired.version

    def published(self, at: int) -> list[Configuration]:
        found = configuration.claim_due(self._store, at)
        assert all(one.topic == "inmetter/v1/gw-1/down/config" for one in found)
        return [decode(one.payload, Configuration) for one in found]

    def states(self) -> dict[int, tuple[str, str]]:
        found = configuration.versions(self._store, self.id)
        return {one.version: (one.state, one.detail) for one in found}


def test_what_is_desired_is_published_once_and_again_only_at_a_gateways_word(store: Store) -> None:
    gateway = Reporter(store)
    assert gateway.wants() == 1
    assert gateway.published(NOW) == [Configuration(1, TOML)]
    assert gateway.published(NOW + 600_000) == []
    gateway.says(OWN, NOW + 1)
    assert gateway.published(NOW + 2) == []
    assert gateway.published(NOW + REPEAT_MS) == [Configuration(1, TOML)]
    gateway.says(ConfigStatus(1, trial=True), NOW + 6000)
    assert gateway.states() == {1: ("trial", "")}
    gateway.says(ConfigStatus(1), NOW + 7000)
    assert gateway.states() == {1: ("applied", "")}
    assert gateway.published(NOW + 600_000) == []
    view = configuration.get(store, gateway.id)
    assert (view.running, view.trial, view.refused) == (1, False, None)


def test_a_refusal_is_kept_with_its_reason_and_nothing_is_sent_again(store: Store) -> None:
    gateway = Reporter(store)
    gateway.wants()
    gateway.says(ConfigStatus(refused=RefusedConfig(1, "mqtt.port: 0")), NOW + 10_000)
    assert gateway.published(NOW + 600_000) == []
    assert gateway.states() == {1: ("refused", "mqtt.port: 0")}
    view = configuration.get(store, gateway.id)
    assert (view.running, view.refused, view.refused_reason) == (0, 1, "mqtt.port: 0")


def test_the_same_text_makes_no_other_version_unless_it_was_refused(store: Store) -> None:
    gateway = Reporter(store)
    assert [gateway.wants(), gateway.wants()] == [1, 1]
    gateway.says(ConfigStatus(refused=RefusedConfig(1, "no")), NOW + 1)
    assert gateway.wants() == 2
    assert gateway.wants(TOML + "# other\n") == 3
    assert gateway.states() == {1: ("refused", "no"), 2: ("replaced", ""), 3: ("pending", "")}
    assert [one.version for one in gateway.published(NOW + 2)] == [3]


def test_versions_go_on_after_what_the_gateway_knows(store: Store) -> None:
    gateway = Reporter(store, ConfigStatus(7, refused=RefusedConfig(9, "no")))
    assert gateway.wants() == 10


def test_a_gateway_that_lost_its_configuration_gets_it_again(store: Store) -> None:
    gateway = Reporter(store)
    gateway.wants()
    gateway.published(NOW)
    gateway.says(ConfigStatus(1), NOW + 1)
    gateway.says(OWN, NOW + 100_000)
    assert gateway.published(NOW + 100_000) == [Configuration(1, TOML)]


def test_an_agent_that_takes_none_is_not_sent_any(store: Store) -> None:
    gateway = Reporter(store, None)
    with pytest.raises(Permanent, match="takes no configurations"):
        gateway.wants()
    assert configuration.get(store, gateway.id).running is None


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("[gateway", "the configuration: "),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a = 1\na = 2", "overwrite"),
        ("\ud800", "Unicode"),
        ("# " + "ü" * (MAX_TOML_BYTES // 2), "500002 bytes"),
    ],
)
def test_what_is_no_toml_or_too_long_is_refused_at_once(
    sqlite_store: Store, toml: str, said: str
) -> None:
    gateway = Reporter(sqlite_store)
    with pytest.raises(Permanent, match=said):
        gateway.wants(toml)
    assert gateway.states() == {}


def test_the_longest_configuration_fits_into_a_message(store: Store) -> None:
    gateway = Reporter(store)
    gateway.wants("# " + '"' * (MAX_TOML_BYTES - 2))
    (one,) = configuration.claim_due(store, NOW)
    assert len(one.payload) <= MAX_BYTES
    assert len(decode(one.payload, Configuration).toml) == MAX_TOML_BYTES


def test_who_wanted_what_when_and_why_is_kept(store: Store) -> None:
    gateway = Reporter(store)
    gateway.wants()
    one = configuration.version(store, gateway.id, 1)
    assert (one.set_by, one.reason, one.toml, one.state) == ("ana", "more", TOML, "pending")
    with pytest.raises(NotFound, match="version 2"):
        configuration.version(store, gateway.id, 2)
    with pytest.raises(NotFound, match="no gateway 77"):
        desire(store, 77, TOML, set_by="ana", now_ms=NOW)


def test_two_dispatchers_do_not_both_publish_it_and_two_people_make_two_versions(
    store: Store,
) -> None:
    gateway = Reporter(store)
    threads = [
        threading.Thread(target=gateway.wants, args=(f"a = {number}\n",)) for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(gateway.states()) == [1, 2, 3, 4]
    found: list[Configuration] = []
    claims = [
        threading.Thread(target=lambda: found.extend(gateway.published(NOW))) for _ in range(4)
    ]
    for thread in claims:
        thread.start()
    for thread in claims:
        thread.join()
    assert [one.version for one in found] == [4]


def test_a_configuration_error_is_one(sqlite_store: Store) -> None:
    with pytest.raises(ConfigError):
        Reporter(sqlite_store).wants("=")
