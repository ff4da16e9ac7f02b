"""The dashboard's pages, as a simulated person sees and uses them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from nicegui import ui
from nicegui.functions.download import download
from nicegui.functions.navigate import Navigate
from nicegui.functions.notify import notify
from nicegui.testing import User
from nicegui.testing.general import nicegui_reset_globals

from cloud import dashboard
from cloud.dashboard.live import Live, Watch
from cloud.services import accounts, commands
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import ManualClock
from common.registers import Kind, Medium
from tests.harness.dispatch import KeepingDispatcher
from tests.harness.masterdata import MasterData

NOW = 1_790_000_000_000
PASSWORD = "correct horse"
PATIENCE = 100
"""Looks at a page, 50 to 100 ms apart, before a test gives up."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the database holds: the ids of one water meter's device and of one roof."""

    meter: int
    roof: int


@dataclass(frozen=True, slots=True)
class Visit:
    """A person in front of the dashboard, the clock on the wall, and who publishes."""

    user: User
    store: Store
    clock: ManualClock
    dispatcher: KeepingDispatcher

    async def try_to_sign_in(self, name: str, password: str, path: str = "/") -> None:
        await self.user.open(path)
        self.user.find("login-name").type(name)
        self.user.find("login-password").type(password)
        self.user.find("login-submit").click()

    async def sign_in(self, role: Role, path: str = "/") -> None:
        accounts.create(self.store, role.value, PASSWORD, role, NOW)
        await self.try_to_sign_in(role.value, PASSWORD, path)
        await self.user.should_not_see(marker="login-name", retries=PATIENCE)


@pytest.fixture
def data(sqlite_url: str) -> Iterator[MasterData]:
    written = MasterData(sqlite_url)
    yield written
    written.close()


@pytest.fixture
def site(data: MasterData) -> Site:
    gateway = data.add_gateway(data.add_site(), seen_at=NOW)
    stream = data.add_stream(gateway, [(1, 40), (43, 60)])
    data.add_event(stream, 7, gateway, at=NOW - 60_000)
    meter = data.add_device(gateway, "water-1")
    volume = data.add_register(meter, interval_s=10)
    data.add_readings(volume, [(NOW - 5_000, 1_234_567), (NOW - 2_000, 1_234_569)])
    flow = data.add_register(meter, "flow", kind=Kind.FLOW)
    data.add_readings(flow, [(NOW - 2_000, 420)])
    roof = data.add_register(
        data.add_device(gateway, "roof"), kind=Kind.OUTPUT, decimals=0, medium=Medium.OTHER
    )
    data.add_readings(roof, [(NOW - 2_000, 0)])
    return Site(meter, roof)


@pytest.fixture
async def visit(sqlite_store: Store, tmp_path: Path) -> AsyncIterator[Visit]:
    ours = {name: module for name, module in sys.modules.items() if name.startswith("cloud")}
    clock, app = ManualClock(NOW), FastAPI()
    dispatcher = KeepingDispatcher()
    with nicegui_reset_globals(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("NICEGUI_USER_SIMULATION", "true")
        dashboard.mount(
            app,
            sqlite_store,
            clock=clock,
            dispatcher=dispatcher,
            storage_secret="secret of a test",
            sessions=tmp_path / "sessions",
        )
        try:
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://test") as client,
            ):
                yield Visit(User(client), sqlite_store, clock, dispatcher)
        finally:
            ui.navigate, ui.notify, ui.download = Navigate(), notify, download
    sys.modules.update(ours)  # the reset above unloads the modules of pages


async def test_whoever_is_not_signed_in_is_led_to_the_sign_in_page_and_back(
    visit: Visit, site: Site
) -> None:
    await visit.sign_in(Role.VIEWER, f"/meters/{site.meter}")
    await visit.user.should_see(marker="index-water-1")
    assert visit.user.back_history[-1] == f"/meters/{site.meter}"


async def test_a_wrong_password_is_refused_in_words(visit: Visit, site: Site) -> None:
    await visit.try_to_sign_in("admin", "wrong")
    await visit.user.should_see("Name or password is wrong.", retries=PATIENCE)
    await visit.user.should_not_see("Overview")


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example"])
async def test_signing_in_leads_to_no_other_host(visit: Visit, site: Site, target: str) -> None:
    await visit.sign_in(Role.VIEWER, f"/login?next={target}")
    await visit.user.should_see("Gateways online", retries=PATIENCE)
    assert visit.user.back_history[-1] == "/"


async def test_a_session_ends_after_twelve_hours(visit: Visit, site: Site) -> None:
    await visit.sign_in(Role.VIEWER)
    await visit.user.should_see("Gateways online", retries=PATIENCE)
    visit.clock.advance(12 * 3600)
    await visit.user.open("/")
    await visit.user.should_see(marker="login-name")


async def test_who_signs_out_sees_nothing_more(visit: Visit, site: Site) -> None:
    await visit.sign_in(Role.VIEWER)
    await visit.user.should_see("Gateways online", retries=PATIENCE)
    visit.user.find("logout").click()
    await visit.user.should_see(marker="login-name", retries=PATIENCE)
    await visit.user.open("/meters")
    await visit.user.should_see(marker="login-name")


async def test_the_overview_shows_index_flow_alarm_and_what_is_missing(
    visit: Visit, site: Site
) -> None:
    await visit.sign_in(Role.OPERATOR)
    user = visit.user
    await user.should_see(marker="index-water-1", retries=PATIENCE)
    with user.scope("index-water-1"):
        await user.should_see("1\u202f234")
        await user.should_see(".569")
        await user.should_see("m³")
    await user.should_see("420\u202fl/h")
    await user.should_see("2 entries missing")
    await user.should_see("closed")
    await user.should_see("It drips", retries=PATIENCE)


async def test_an_acknowledged_alarm_goes_away(visit: Visit, site: Site) -> None:
    await visit.sign_in(Role.OPERATOR)
    await visit.user.should_see("It drips", retries=PATIENCE)
    visit.user.find("Acknowledge").click()
    await visit.user.should_not_see("It drips", retries=PATIENCE)


async def test_a_viewer_finds_no_button_to_acknowledge(visit: Visit, site: Site) -> None:
    await visit.sign_in(Role.VIEWER)
    await visit.user.should_see("It drips", retries=PATIENCE)
    await visit.user.should_not_see("Acknowledge")


async def test_a_meter_page_follows_new_readings(
    visit: Visit, site: Site, data: MasterData
) -> None:
    user = visit.user
    await visit.sign_in(Role.VIEWER, f"/meters/{site.meter}")
    await user.should_see(marker="index-water-1", retries=PATIENCE)
    visit.clock.advance(5)
    data.add_readings(1, [(NOW + 4_000, 1_235_001)])
    with user.scope("index-water-1"):
        await user.should_see("1\u202f235", retries=PATIENCE)
        await user.should_see(".001")


async def test_an_operator_opens_the_roof_by_a_command_that_is_followed(
    visit: Visit, site: Site, sqlite_store: Store
) -> None:
    user = visit.user
    await visit.sign_in(Role.OPERATOR, f"/outputs/{site.roof}")
    await user.should_see("closed", retries=PATIENCE)
    user.find("output-open").click()
    await user.should_see("expires")
    assert commands.recent(sqlite_store, site.roof) == []
    user.find("confirm").click()
    await user.should_see(marker="command-state", retries=PATIENCE)
    (command,) = commands.recent(sqlite_store, site.roof)
    assert (command.value, command.state, command.issued_by) == (1, "sent", "operator")
    assert len(visit.dispatcher.sent) == 1
    await user.should_see("closed")  # the state is what was read back, not what was ordered


async def test_a_viewer_finds_no_button_to_switch(visit: Visit, site: Site) -> None:
    await visit.sign_in(Role.VIEWER, f"/outputs/{site.roof}")
    await visit.user.should_see("Your account may look, not switch.", retries=PATIENCE)
    await visit.user.should_not_see(marker="output-open")


async def test_an_account_that_was_disabled_meanwhile_switches_nothing(
    visit: Visit, site: Site, sqlite_store: Store, data: MasterData
) -> None:
    user = visit.user
    await visit.sign_in(Role.OPERATOR, f"/outputs/{site.roof}")
    await user.should_see(marker="output-open", retries=PATIENCE)
    (account,) = (one for one in accounts.accounts(sqlite_store) if one.name == "operator")
    data.disable_account(account.id)
    user.find("output-open").click()
    user.find("confirm").click()
    await user.should_see("Your account may no longer switch.", retries=PATIENCE)
    assert commands.recent(sqlite_store, site.roof) == []
    assert visit.dispatcher.sent == []


async def test_a_closed_page_is_looked_at_no_more(visit: Visit, site: Site) -> None:
    await visit.sign_in(Role.VIEWER)
    client = visit.user.client
    assert client is not None
    live, seen = Live(visit.store, visit.clock), []  # type: ignore[var-annotated]
    live.attach(client, Watch(registers=frozenset({1}), gateways=True), seen.append, seen.append)
    await live.look()
    assert [list(snapshot.latest) for snapshot in seen] == [[1]]
    client.delete()
    assert live.pages == 0
    await live.look()
    assert len(seen) == 1


async def test_pages_are_told_when_the_database_is_away_and_when_it_is_back(
    visit: Visit, site: Site, tmp_path: Path, sqlite_url: str
) -> None:
    await visit.sign_in(Role.VIEWER)
    client = visit.user.client
    assert client is not None
    database, hidden = Path(sqlite_url.removeprefix("sqlite:///")), tmp_path / "hidden.db"
    told: asyncio.Queue[bool] = asyncio.Queue()
    store = Store(sqlite_url)
    live = Live(store, visit.clock)
    database.rename(hidden)  # noqa: ASYNC240
    live.attach(client, Watch(gateways=True), lambda _: None, told.put_nowait)
    await live.start()
    try:
        assert await asyncio.wait_for(told.get(), 20) is True
        store.close()
        hidden.rename(database)
        assert await asyncio.wait_for(told.get(), 20) is False
    finally:
        await live.stop()
        store.close()


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/", "No gateway has reported yet"),
        ("/meters", "No meters yet"),
        ("/outputs", "Nothing to switch"),
        ("/gateways", "No gateway has reported yet"),
        ("/events", "Nothing to report"),
        ("/meters/99", "Not found"),
        ("/outputs/99", "Not found"),
        ("/meters/none", "Not found"),
        ("/nowhere", "Not found"),
    ],
)
async def test_pages_without_data_say_so(visit: Visit, path: str, seen: str) -> None:
    await visit.sign_in(Role.VIEWER)
    await visit.user.should_see("Overview", retries=PATIENCE)
    response = await visit.user.http_client.get(path)
    assert seen in response.text
    assert response.status_code == (404 if seen == "Not found" else 200)
    assert "Traceback" not in response.text
