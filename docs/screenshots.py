"""Writes docs/page.png and docs/page-phone-dark.png: ``python docs/screenshots.py http://127.0.0.1:8080``.

It needs a running ``m3ser serve``, Playwright's package and the system's Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).resolve().parent
CLIP = "angry, 1001"


def picture(browser: Browser, address: str, out: Path, *, width: int, height: int, scheme: str) -> None:
    """The page with an answer on it."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(address)
    page.locator("#m3-examples").get_by_role("button", name=CLIP).click()
    page.locator("#m3-recording").get_by_role("button", name="Play", exact=True).wait_for()
    page.get_by_role("button", name="Recognise the emotion").click()
    page.wait_for_selector("#m3-said .m3-emotion")
    page.wait_for_timeout(1_000)  # waveforms are drawn a little later
    page.screenshot(path=out, full_page=True)
    page.close()


def main() -> None:
    """Both pictures."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        picture(browser, sys.argv[1], HERE / "page.png", width=1100, height=800, scheme="light")
        picture(browser, sys.argv[1], HERE / "page-phone-dark.png", width=375, height=800, scheme="dark")
        browser.close()


if __name__ == "__main__":
    main()
