"""A real headless browser against a live server; every test also proves that the page stayed clean.

Clean means: no console error, no breach of the content security policy, no failed answer, and no request to
anybody but the server itself.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import ConsoleMessage, Page, Request, Response, expect

from depot.models import User

# Playwright's event loop lives in the test's own thread, where Django would refuse plain database calls.
os.environ.setdefault("DJANGO_ALLOW_ASYNC_UNSAFE", "true")

expect.set_options(timeout=20_000)

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
QUIET_CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SIZES = {"desktop": {"width": 1440, "height": 900}, "phone": {"width": 390, "height": 844}}
REPORT_BREACHES = """
addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy ${event.violatedDirective} ${event.sourceFile}:${event.lineNumber} ${event.sample}`));
"""

SignIn = Callable[[User], Page]
Photograph = Callable[[Page, str], None]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Use the Chromium of the system; nothing is downloaded."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("No Chromium is installed (Debian: apt install chromium), so pages cannot be driven.")
    return {**browser_type_launch_args, "executable_path": chromium, "args": QUIET_CHROMIUM}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_context_args, "viewport": SIZES["desktop"], "color_scheme": "light", "locale": "en-US"}


@pytest.fixture
def problems() -> list[str]:
    """Collect what a page did wrong; a test that provokes an error on purpose clears it."""
    return []


@pytest.fixture
def page(page: Page, problems: list[str], live_server: Any) -> Iterator[Page]:
    """Give a page of the live server and fail the test when anything went wrong in it."""
    own = urlsplit(live_server.url).netloc

    def on_console(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            problems.append(f"console {message.type}: {message.text}")

    def on_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in ("data", "blob") and address.netloc != own:
            problems.append(f"request to a third party: {request.url}")

    def on_response(response: Response) -> None:
        if response.status >= 400:
            problems.append(f"{response.status} for {response.url}")

    page.add_init_script(REPORT_BREACHES)
    page.on("console", on_console)
    page.on("request", on_request)
    page.on("response", on_response)
    page.on("pageerror", lambda error: problems.append(f"script error: {error}"))
    yield page
    assert problems == []


@pytest.fixture
def sign_in(page: Page, live_server: Any) -> SignIn:
    """Return a function that gives the page to somebody who is logged in."""

    def as_user(user: User) -> Page:
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        session = client.cookies[settings.SESSION_COOKIE_NAME].value
        page.context.add_cookies(
            [{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": live_server.url}]
        )
        return page

    return as_user


@pytest.fixture
def photograph() -> Photograph:
    """Return a function that saves a page in both themes and sizes (to DEPOT_SCREENSHOTS or var/screenshots)."""
    folder = Path(os.environ.get("DEPOT_SCREENSHOTS") or ROOT / "var/screenshots")

    def save(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for size, viewport in SIZES.items():
            page.set_viewport_size(viewport)  # type: ignore[arg-type]
            for theme in ("light", "dark"):
                page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
                page.wait_for_timeout(250)  # charts are drawn again in the new size and colours
                # hiding the caret would leave style attributes, which htmx then copies against the policy
                page.screenshot(path=folder / f"{name}-{size}-{theme}.png", full_page=True, caret="initial")
        page.set_viewport_size(SIZES["desktop"])  # type: ignore[arg-type]
        page.emulate_media(color_scheme="light")

    return save
