"""Takes a picture of every page of a running inMetter: phone and desktop, light and dark."""

import argparse
import sys
import threading
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from deploy.demo.files import free_port
from deploy.demo.processes import Child

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = {"phone": (390, 844), "desktop": (1440, 900)}
PAGES = {
    "overview": "/",
    "meters": "/meters",
    "outputs": "/outputs",
    "gateways": "/gateways",
    "events": "/events",
}
FIRST_OF = {"meter": ("/meters", "a[href^='/meters/']"), "output": ("/outputs", "a.output-card")}
SETTLE_MS = 1500
LIVE_S = 60
"""How long a fresh demo runs before it is looked at, so that there is something live to see."""


def main() -> int:
    """Sign in, and write ``<page>-<width>-<theme>.png`` for each page; 1 when it cannot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="of a running inMetter; without it, a demo is started")
    parser.add_argument("--user", default="admin")
    parser.add_argument("--password", default="")
    parser.add_argument("--out", type=Path, default=Path("docs/screens"))
    parser.add_argument("--meters", type=int, default=1, help="how many meter pages")
    options = parser.parse_args()
    if options.url:
        return take_all(options)
    state = Path("var/screens")
    port, log = free_port(), state.with_suffix(".log")
    log.parent.mkdir(exist_ok=True)
    log.unlink(missing_ok=True)
    command = [sys.executable, "-m", "deploy.demo", "--state", str(state), "--fresh"]
    demo = Child("demo", [*command, "--port", str(port)], log)
    try:
        while "inMetter is ready" not in demo.last_words():
            if demo.exit_code is not None:
                print(demo.last_words(), file=sys.stderr)
                return 1
            threading.Event().wait(0.2)
        options.url = f"http://127.0.0.1:{port}"
        options.password = (state / "password").read_text("utf-8").strip()
        threading.Event().wait(LIVE_S)
        return take_all(options)
    finally:
        demo.stop(patience_s=30)


def take_all(options: argparse.Namespace) -> int:
    """Every page in both sizes and both themes; the exit code."""
    options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        for width in WIDTHS:
            for theme in ("light", "dark"):
                _take(browser, options, width, theme)
        browser.close()
    print(f"{len(list(options.out.glob('*.png')))} pictures in {options.out}")
    return 0


def _take(browser: Browser, options: argparse.Namespace, width: str, theme: str) -> None:
    size = {"width": WIDTHS[width][0], "height": WIDTHS[width][1]}
    context = browser.new_context(
        viewport=size,  # type: ignore[arg-type]
        color_scheme="dark" if theme == "dark" else "light",
        device_scale_factor=2 if width == "phone" else 1,
        locale="en-GB",
    )
    page = context.new_page()
    page.goto(f"{options.url}/login")
    page.wait_for_selector("[data-testid=login-name]")
    _shoot(page, options.out / f"login-{width}-{theme}.png")
    page.fill("[data-testid=login-name]", options.user)
    page.fill("[data-testid=login-password]", options.password)
    page.click("[data-testid=login-submit]")
    page.wait_for_selector("#content")
    for name, path in (PAGES | _first_pages(page, options)).items():
        page.goto(f"{options.url}{path}")
        page.wait_for_selector("#content")
        _shoot(page, options.out / f"{name}-{width}-{theme}.png")
    context.close()


def _first_pages(page: Page, options: argparse.Namespace) -> dict[str, str]:
    """The first meters and the first output that there are."""
    found = {}
    for name, (path, selector) in FIRST_OF.items():
        page.goto(f"{options.url}{path}")
        page.wait_for_selector("#content")
        page.wait_for_timeout(SETTLE_MS)
        links = page.locator(selector)
        for number in range(min(links.count(), options.meters if name == "meter" else 1)):
            target = links.nth(number).get_attribute("href")
            if target:
                found[f"{name}-{number + 1}" if number else name] = target
    return found


def _shoot(page: Page, path: Path) -> None:
    """The whole page, in a window as high as the page: bars that stick to an edge stay there."""
    page.wait_for_timeout(SETTLE_MS)
    size = page.viewport_size
    height = page.evaluate("document.documentElement.scrollHeight")
    if size and height > size["height"]:
        page.set_viewport_size({"width": size["width"], "height": height})
        page.wait_for_timeout(SETTLE_MS // 4)
        page.screenshot(path=path)
        page.set_viewport_size(size)
    else:
        page.screenshot(path=path)


if __name__ == "__main__":
    sys.exit(main())
