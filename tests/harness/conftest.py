"""A browser for the tests that look at pages as a visitor does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LIMIT_MS = 120_000  # a page that is waited for on a busy machine; Playwright's own limit is 30 s


def patient(make: Callable[..., Any]) -> Callable[..., Any]:
    """Let the pages that a browser makes wait longer."""

    def call(**options: Any) -> Any:
        page = make(**options)
        page.set_default_timeout(LIMIT_MS)
        return page

    return call


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium; where it is not installed its tests are skipped, except in CI."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None and not os.environ.get("CI"):
        pytest.skip("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium, args=FLAGS, timeout=LIMIT_MS)
        launched.new_page, launched.new_context = patient(launched.new_page), patient(launched.new_context)
        yield launched
        launched.close()
