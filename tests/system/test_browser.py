"""A person, a browser, the whole of inMetter behind it, and a roof that really moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from deploy.screenshots import ARGUMENTS, CHROMIUM
from tests.harness.cloud import PASSWORD, USER
from tests.harness.eventually import eventually
from tests.harness.services import find_program
from tests.harness.site import GATEWAY, ROOF
from tests.system.plant import Plant

PATIENCE_MS = 20_000


@pytest.fixture
def page() -> Iterator[Page]:
    """An empty page of a real Chromium."""
    find_program(Path(CHROMIUM).name)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        made = browser.new_page()
        made.set_default_timeout(PATIENCE_MS)
        yield made
        browser.close()


@pytest.mark.timeout(120)
def test_a_person_sees_a_meter_turn_and_opens_the_roof(plant: Plant, page: Page) -> None:
    plant.site.turns_s = 120
    plant.start_cloud("all")
    plant.start_site()
    output = plant.cloud.output_id(GATEWAY, *ROOF)
    eventually(lambda: plant.book.latest(GATEWAY, ROOF[0], "volume"), 20, "the first index")

    page.goto(plant.cloud.address)
    page.locator("input[type=text], [data-testid=login-name] input").first.fill(USER)
    page.locator("input[type=password]").fill(PASSWORD)
    page.get_by_test_id("login-submit").click()

    index = page.get_by_test_id(f"index-{ROOF[0]}")
    expect(index).to_be_visible(timeout=PATIENCE_MS)
    page.evaluate("window.notReloaded = true")
    first = index.inner_text()
    expect(index).not_to_have_text(first, timeout=PATIENCE_MS)
    assert page.evaluate("window.notReloaded"), "the value must come without a reload"

    page.goto(f"{plant.cloud.address}/outputs/{output}")
    page.get_by_test_id("output-open").click()
    page.get_by_test_id("confirm").click()
    expect(page.get_by_test_id("command-state")).to_have_text("succeeded", timeout=PATIENCE_MS)
    expect(page.get_by_test_id("output-state")).to_have_text("open", timeout=PATIENCE_MS)
    roof = "/".join(ROOF)
    eventually(lambda: plant.site.truth()["outputs"][roof] == 1, 5, "the roof is open")
    issued = plant.book.rows("SELECT issued_by, state, readback FROM command")
    assert list(issued) == [(USER, "succeeded", 1)]
    plant.check_books()
