"""How often a client of the REST API may ask."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.api.rate import Buckets, Rate
from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock

NOW = 1_790_000_000_000
RATE = Rate(per_s=2, at_once=5)
SITES = "/api/v1/sites"

From = Callable[[str, str], TestClient]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def client(sqlite_store: Store, clock: ManualClock) -> Iterator[From]:
    """Makes clients with an address and a token."""
    api = create_api(sqlite_store, clock=clock, rate=RATE)

    def made(address: str, token: str) -> TestClient:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return TestClient(api, client=(address, 5000), headers=headers)

    with TestClient(api):
        yield made


@pytest.fixture
def tokens(sqlite_store: Store) -> list[str]:
    accounts.create(sqlite_store, "ana", "correct horse", Role.VIEWER, NOW)
    return [accounts.create_token(sqlite_store, "ana", "test", NOW, None) for _ in range(3)]


def statuses(client: TestClient, count: int, path: str = SITES) -> list[int]:
    return [client.get(path).status_code for _ in range(count)]


def test_who_asks_too_often_is_told_when_to_come_back_and_may_then(
    client: From, clock: ManualClock, tokens: list[str]
) -> None:
    ana = client("192.0.2.1", tokens[0])
    first = ana.get(SITES)
    assert first.headers["ratelimit-policy"] == '"requests";q=5;w=3'
    assert statuses(ana, 4) == [200] * 4
    clock.advance(60)
    assert statuses(ana, 5) == [200] * 5
    refused = ana.get(SITES)
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit"] == '"requests";r=0;t=3'
    assert refused.json()["detail"] == "too many requests: wait 1 s"
    clock.advance(1)
    assert statuses(ana, 3) == [200, 200, 429]
    clock.advance(0.5)
    answer = ana.get(SITES)
    assert (answer.status_code, answer.headers["ratelimit"]) == (200, '"requests";r=0;t=3')
    clock.advance(2)
    assert ana.get(SITES).headers["ratelimit"] == '"requests";r=3;t=1'


def test_each_token_has_its_own_requests_wherever_it_comes_from(
    client: From, clock: ManualClock, tokens: list[str]
) -> None:
    for token in tokens:
        assert client("192.0.2.1", token).get(SITES).status_code == 200
    assert statuses(client("192.0.2.1", tokens[0]), 5) == [200] * 4 + [429]
    assert statuses(client("192.0.2.9", tokens[0]), 1) == [429]
    assert statuses(client("192.0.2.1", tokens[1]), 4) == [200] * 4


def test_who_guesses_tokens_is_limited_by_the_address(
    client: From, clock: ManualClock, tokens: list[str]
) -> None:
    ana = client("192.0.2.1", tokens[0])
    assert ana.get(SITES).status_code == 200
    guesses = [client("192.0.2.1", f"guess-{n}").get(SITES).status_code for n in range(6)]
    assert guesses == [401] * 4 + [429] * 2
    assert statuses(client("192.0.2.1", ""), 1) == [429]
    assert statuses(client("192.0.2.2", ""), 1) == [401]
    assert statuses(ana, 4) == [200] * 4


def test_an_answer_that_comes_before_the_token_is_looked_at_proves_no_token(
    client: From, tokens: list[str]
) -> None:
    answers = [
        client("192.0.2.1", f"guess-{n}").request(method, path, content=content).status_code
        for n in range(3)
        for method, path, content in (
            ("GET", "/api/v1/nothing", b""),
            ("POST", "/api/v1/commands", b"{"),
        )
    ]
    assert answers[-1] == 429
    assert 401 in {client("192.0.2.2", "guess-0").get(SITES).status_code}


def test_all_addresses_of_an_ipv6_network_are_one_client(client: From) -> None:
    asked = [client(f"2001:db8::{n:x}", "").get(SITES).status_code for n in range(6)]
    assert asked == [401] * 5 + [429]
    assert client("2001:db8:0:1::1", "").get(SITES).status_code == 401


def test_the_health_of_the_program_may_always_be_asked(client: From) -> None:
    stranger = client("192.0.2.1", "")
    assert statuses(stranger, 9)[-1] == 429
    for path in ("/healthz", "/readyz"):
        answers = [stranger.get(path) for _ in range(9)]
        assert {answer.status_code for answer in answers} == {200}
        assert "ratelimit" not in answers[0].headers
    assert stranger.get("/metrics").status_code == 429


def test_without_a_rate_nobody_is_limited(sqlite_store: Store, clock: ManualClock) -> None:
    api = create_api(sqlite_store, clock=clock, rate=Rate(per_s=0, at_once=1))
    assert statuses(TestClient(api), 9) == [401] * 9


def test_only_so_many_clients_are_remembered() -> None:
    buckets = Buckets(RATE, clients=3)
    for n in range(100):
        buckets.take("often", n / 1000)
        buckets.take(f"once-{n}", n / 1000)
        assert len(buckets) <= 3
    assert buckets.take("often", 0.1) < 0


def test_however_the_requests_come_no_more_pass_than_the_rate_allows() -> None:
    buckets, passed = Buckets(RATE), 0
    for n in range(1000):
        passed += buckets.take("one", n / 100) >= 0
    assert passed == RATE.at_once + 10 * RATE.per_s - 1
