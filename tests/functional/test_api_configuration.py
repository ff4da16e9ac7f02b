"""The REST API: a gateway's configuration, and who may change it."""

import pytest
from fastapi.testclient import TestClient

from cloud.api.app import create_api
from cloud.api.limits import MAX_CONFIGURATION_BYTES
from cloud.services import accounts
from cloud.services.ingest import ingest
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock
from common.messages.envelope import encode
from common.messages.uplink import ConfigStatus, Status
from tests.harness.says import STREAM, Gateway

NOW = 1_790_000_000_000
TOML = '[gateway]\nid = "gw-1"\n'
URL = "/api/v1/gateways/1/configuration"


def client(store: Store, role: Role) -> TestClient:
    """With the token of an account of that role; gateway 1 is known."""
    ingest(store, [Gateway().hello()], NOW)
    accounts.create(store, role.value, "correct horse", role, NOW)
    token = accounts.create_token(store, role.value, "test", NOW, None)
    api = create_api(store, clock=ManualClock(NOW))
    return TestClient(api, headers={"Authorization": f"Bearer {token}"})


def test_an_admin_configures_a_gateway_and_all_is_told_of_it(sqlite_store: Store) -> None:
    admin = client(sqlite_store, Role.ADMIN)
    before = admin.get(URL).json()
    assert (before["desired"], before["running"]) == (None, None)
    answer = admin.put(URL, json={"toml": TOML, "reason": "a new meter"})
    assert answer.status_code == 200
    desired = answer.json()["desired"]
    assert (desired["version"], desired["state"], desired["toml"]) == (1, "pending", TOML)
    assert (desired["set_by"], desired["reason"]) == ("admin", "a new meter")
    assert desired["set_at"] == "2026-09-21T14:13:20Z"
    assert admin.get(URL).json() == answer.json()
    assert admin.get(f"{URL}/versions/1").json() == desired
    (listed,) = admin.get(f"{URL}/versions").json()["items"]
    assert listed == {key: value for key, value in desired.items() if key != "toml"}
    assert admin.get(f"{URL}/versions/2").status_code == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_others_look_and_change_nothing(sqlite_store: Store, role: Role) -> None:
    other = client(sqlite_store, role)
    refused = other.put(URL, json={"toml": TOML})
    assert refused.status_code == 403
    assert refused.json()["detail"] == f"{role}, who is {role}, has no scope configure"
    assert other.get(URL).json()["desired"] is None


@pytest.mark.parametrize(
    "body",
    [{}, {"toml": 1}, {"toml": "[gateway"}, {"toml": TOML, "more": 1}, {"toml": "x" * 500_001}],
)
def test_what_is_no_configuration_is_refused(sqlite_store: Store, body: dict[str, object]) -> None:
    admin = client(sqlite_store, Role.ADMIN)
    assert admin.put(URL, json=body).status_code == 422
    assert admin.get(f"{URL}/versions").json()["items"] == []


def test_a_configuration_may_be_longer_than_other_bodies_but_not_endless(
    sqlite_store: Store,
) -> None:
    admin = client(sqlite_store, Role.ADMIN)
    assert admin.put(URL, json={"toml": "#" + "x" * 400_000}).status_code == 200
    endless = admin.put(URL, json={"toml": "x" * MAX_CONFIGURATION_BYTES})
    assert endless.status_code == 413


def test_a_configuration_that_another_one_has_changed_is_not_replaced(sqlite_store: Store) -> None:
    admin = client(sqlite_store, Role.ADMIN)
    seen = admin.get(URL).headers["etag"]
    assert admin.put(URL, json={"toml": TOML}, headers={"If-Match": seen}).status_code == 200
    other = TOML + 'name = "Hall"\n'
    for outdated in (seen, f"W/{admin.get(URL).headers['etag']}", '"x", "y"', "nonsense"):
        refused = admin.put(URL, json={"toml": other}, headers={"If-Match": outdated})
        assert refused.status_code == 412
        assert refused.headers["content-type"] == "application/problem+json"
    assert admin.get(URL).json()["desired"]["toml"] == TOML
    fresh = admin.get(URL).headers["etag"]
    for number, matching in enumerate((f'"x", {fresh}', "*"), 2):
        changed = {"toml": f"{other}# {number}\n"}
        answer = admin.put(URL, json=changed, headers={"If-Match": matching})
        assert (answer.status_code, answer.json()["desired"]["version"]) == (200, number)


def test_a_status_that_says_nothing_new_leaves_the_etag_of_a_configuration(
    sqlite_store: Store,
) -> None:
    admin = client(sqlite_store, Role.ADMIN)
    etags = []
    for at, version in enumerate((1, 1, 2), NOW):
        status = Status(STREAM, True, 1, 1, at, config=ConfigStatus(version))
        ingest(sqlite_store, [Gateway().received("status", encode(status))], at)
        answer = admin.get(URL)
        assert answer.json()["running"] == version
        etags.append(answer.headers["etag"])
    assert etags[0] == etags[1] != etags[2]


def test_the_same_configuration_again_is_no_conflict(sqlite_store: Store) -> None:
    admin = client(sqlite_store, Role.ADMIN)
    seen = {"If-Match": admin.get(URL).headers["etag"]}
    for _ in range(2):
        answer = admin.put(URL, json={"toml": TOML}, headers=seen)
        assert (answer.status_code, answer.json()["desired"]["version"]) == (200, 1)
