"""A page in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
READY = "performance.getEntriesByName('interactive').length > 0"


@dataclass
class Opened:
    """A page; every change of it counts as an action."""

    page: Any
    url: str
    problems: list[str] = field(default_factory=list)  # on the console, or asked of a network
    actions: int = 0

    @property
    def address(self) -> str:
        """What of the address the choices are."""
        return str(self.page.evaluate("decodeURIComponent(location.hash.replaceAll('+', ' '))"))

    def text(self, selector: str) -> str:
        return str(self.page.locator(selector).inner_text())

    def choose(self, name: str, value: str) -> None:
        """Choose a value at the top of the page: one action."""
        self.actions += 1
        self.page.select_option(f"#choice-{name}", value)
        self.settle()

    def click(self, selector: str) -> None:
        """Click something: one action."""
        self.actions += 1
        self.page.locator(selector).first.click()
        self.settle()

    def settle(self) -> None:
        """Wait until the page shows what its address chooses."""
        self._wait("document.body.dataset.shown === location.hash")

    def _wait(self, condition: str) -> None:
        # `wait_for_function` would evaluate a string, which the page forbids.
        deadline = time.monotonic() + 60
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, f"not within a minute: {condition}"
            self.page.wait_for_timeout(10)

    def go(self, address: str) -> None:
        """Open the page again, at another address."""
        self.page.goto("about:blank")
        self.page.goto(f"{self.url}{address}")
        self._wait(READY)

    def rows(self, selector: str) -> list[list[str]]:
        """The body of a table."""
        found: list[list[str]] = self.page.eval_on_selector_all(
            f"{selector} tbody tr", "rows => rows.map(r => [...r.cells].map(c => c.innerText))"
        )
        return found

    def head(self, selector: str) -> list[str]:
        found: list[str] = self.page.eval_on_selector_all(
            f"{selector} thead th", "cells => cells.map(c => c.innerText)"
        )
        return found

    def column(self, selector: str, title: str) -> list[str]:
        place = self.head(selector).index(title)
        return [row[place] for row in self.rows(selector)]

    def hover(self, selector: str, number: int = 0) -> str:
        """What is shown when a mark of a chart is hovered over."""
        self.page.locator(selector).nth(number).hover(force=True)
        self.page.locator("#vg-tooltip-element.visible").wait_for()
        return self.text("#vg-tooltip-element")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The browser; a test is skipped by name where there is none."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed: pip install playwright"
    )
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is on the PATH")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(
    browser: Any, file: Path, address: str = "", *, width: int = 1400, scheme: str = "light"
) -> Iterator[Opened]:
    """The page in `file`; nothing may appear on its console, and it may ask for nothing."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    found = Opened(page, file.as_uri())
    page.on("console", lambda message: found.problems.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.problems.append(str(error)))
    page.on("dialog", lambda dialog: found.problems.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: _note(found, request.url))
    try:
        found.go(address)
        yield found
        assert found.problems == []
    finally:
        context.close()


def _note(found: Opened, url: str) -> None:
    if not url.startswith((found.url, "data:", "about:")):
        found.problems.append(f"request: {url}")
