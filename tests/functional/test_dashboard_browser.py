"""The dashboard in a real browser: it works, is quiet, and asks no other host for anything.

Run as a program, this file serves a dashboard: ``python -m … URL PORT FOLDER``.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Page, expect, sync_playwright

from cloud import dashboard
from cloud.services import accounts
from cloud.services.store import Store
from cloud.services.views import Role
from common.clock import SystemClock
from common.registers import Kind, Medium
from deploy.screenshots import ARGUMENTS, CHROMIUM
from tests.harness.masterdata import MasterData
from tests.harness.ports import free_port, wait_for_port
from tests.harness.processes import Programs
from tests.harness.services import without

PASSWORD = "correct horse"
PATIENCE_MS = 20_000
QUIET = {"log", "debug", "info", "verbose"}


def serve(url: str, port: int, folder: Path) -> None:
    app = FastAPI()
    dashboard.mount(
        app,
        Store(url),
        clock=SystemClock(),
        storage_secret="secret of a test",
        sessions=folder,
    )
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


@pytest.fixture
def site(sqlite_url: str) -> Iterator[MasterData]:
    """A water meter with a curve, and a roof; an operator who may switch it."""
    now = time.time_ns() // 1_000_000
    store = Store(sqlite_url)
    accounts.create(store, "anna", PASSWORD, Role.OPERATOR, now)
    store.close()
    data = MasterData(sqlite_url)
    gateway = data.add_gateway(data.add_site(), seen_at=now)
    stream = data.add_stream(gateway, [(1, 60)])
    data.add_event(stream, 7, gateway, at=now - 60_000)
    meter = data.add_device(gateway, "water-1")
    volume = data.add_register(meter, interval_s=60)
    minutes = range(180, -1, -1)
    data.add_readings(volume, [(now - m * 60_000, 1_234_567 - m * 11) for m in minutes])
    roof = data.add_register(
        data.add_device(gateway, "roof"), kind=Kind.OUTPUT, decimals=0, medium=Medium.OTHER
    )
    data.add_readings(roof, [(now, 0)])
    yield data
    data.close()


@pytest.fixture
def address(site: MasterData, sqlite_url: str, tmp_path: Path) -> Iterator[str]:
    """Where the dashboard is served, by a process of its own."""
    if not Path(CHROMIUM).exists():
        without(CHROMIUM)
    port = free_port()
    command = [sys.executable, "-m", __name__, sqlite_url, str(port), str(tmp_path / "sessions")]
    with Programs(tmp_path, forked=True) as programs:
        server = programs.add("dashboard", *command).start()
        wait_for_port(port, lambda: not server.running)
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    """A page of a browser that fails the test on errors and on requests to other hosts."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        opened = browser.new_context(base_url=address, viewport={"width": 1280, "height": 900})
        tab = opened.new_page()
        tab.set_default_timeout(PATIENCE_MS)
        tab.on("console", lambda m: None if m.type in QUIET else complaints.append(m.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((address, address.replace("http", "ws"), "data:"))
                else complaints.append(f"asked for {request.url}")
            ),
        )
        yield tab
        browser.close()
    assert complaints == []


def sign_in(page: Page) -> None:
    page.goto("/login")
    page.get_by_test_id("login-name").fill("anna")
    page.get_by_test_id("login-password").fill(PASSWORD)
    page.get_by_test_id("login-submit").click()
    page.wait_for_selector("#content")


def test_every_page_draws_without_an_error_and_without_another_host(page: Page) -> None:
    sign_in(page)
    expect(page.get_by_test_id("index-water-1")).to_contain_text("1\u202f234.567")
    expect(page.get_by_test_id("output-state")).to_have_text("closed")
    page.goto("/meters/1")
    expect(page.locator(".chart svg path").first).to_be_attached(timeout=PATIENCE_MS)
    page.get_by_test_id("span-24h").click()
    expect(page.get_by_test_id("span-24h")).to_have_attribute("aria-pressed", "true")
    for path in ("/meters", "/outputs", "/gateways", "/events"):
        page.goto(path)
        expect(page.locator("h1")).to_be_visible()


def test_new_readings_show_without_a_reload(page: Page, site: MasterData) -> None:
    sign_in(page)
    expect(page.get_by_test_id("index-water-1")).to_contain_text(".567")
    site.add_readings(1, [(time.time_ns() // 1_000_000 + 1, 1_240_001)])
    expect(page.get_by_test_id("index-water-1")).to_contain_text(
        "1\u202f240.001", timeout=PATIENCE_MS
    )


def test_the_roof_is_ordered_open_and_the_command_is_followed(page: Page) -> None:
    sign_in(page)
    page.goto("/outputs/2")
    page.get_by_test_id("output-open").click()
    page.get_by_test_id("confirm").click()
    expect(page.get_by_test_id("command-state")).to_have_text("pending", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("output-state")).to_have_text("closed")


def test_the_theme_that_was_chosen_stays(page: Page) -> None:
    sign_in(page)
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_no_page_is_wider_than_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    sign_in(page)
    for path in ("/", "/meters", "/meters/1", "/outputs/2", "/gateways", "/events"):
        page.goto(path)
        expect(page.locator(".tabbar")).to_be_visible()
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390, path


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
