"""The frame of all pages: places, cards, words, errors, and colours that everybody can read."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.template import engines
from django.template.exceptions import TemplateSyntaxError
from django.test import Client, RequestFactory
from django.views import defaults

from depot.alerts.services import Cause, raise_alert
from depot.charts import ROLES
from depot.models import Depot, User
from depot.project.navigation import Place
from depot.templatetags import depot_pages as words
from tests import factories

ROOT = Path(__file__).parents[2]
CSS = ROOT / "static/css"
TOKENS = (CSS / "tokens.css").read_text()
PAIR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6,8}), (#[0-9a-f]{6,8})\);")
THEMES = ("light", "dark")
STATE_TONES = ("ready", "on-track", "at-risk", "will-miss", "quiet")
SURFACES = ("ground", "surface", "sunken", "raised")
FLOWS = ("charge", "discharge", "solar-line", "building", "import", "limit", "price", "good", "control-line")


def luminance(colour: str) -> float:
    """Return the relative luminance of #rrggbb (WCAG 2.2)."""
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours (WCAG 2.2)."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def colours(theme: str) -> dict[str, str]:
    return {name: pair[THEMES.index(theme)] for name, *pair in PAIR.findall(TOKENS)}


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
def test_text_is_readable_on_every_surface(theme: str) -> None:
    token = colours(theme)
    pairs = [(text, ground) for text in ("text", "muted", "accent") for ground in SURFACES]
    pairs += [(tone, f"{tone}-fill") for tone in STATE_TONES]
    pairs += [(tone, "surface") for tone in STATE_TONES]
    pairs += [("on-accent", "accent"), ("accent", "accent-fill"), ("text", "quiet-fill")]
    pairs += [("surface", tone) for tone in ("will-miss", "at-risk", "quiet")]
    pairs += [("muted", "chart-away"), ("price", "price-fill")]
    faint = {pair: contrast(token[pair[0]], token[pair[1]]) for pair in pairs}
    assert {pair: ratio for pair, ratio in faint.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", THEMES)
def test_lines_marks_and_controls_stand_out_from_their_ground(theme: str) -> None:
    token = colours(theme)
    faint = {name: contrast(token[name], token["surface"]) for name in FLOWS}
    assert {name: ratio for name, ratio in faint.items() if ratio < 3} == {}


def test_charts_draw_only_with_checked_colours() -> None:
    lines = {role.line.removeprefix("var(--").removesuffix(")") for role in ROLES.values()}
    assert lines <= {*FLOWS, *STATE_TONES, "chart-axis"}


def test_styles_use_only_tokens_that_exist_and_stay_small() -> None:
    sheets = {path.name: path.read_text() for path in CSS.glob("*.css")}
    defined = set(re.findall(r"(--[\w-]+):", "".join(sheets.values())))
    used = set(re.findall(r"var\((--[\w-]+)", "".join(sheets.values())))
    assert used <= defined
    assert sum(len(text) for text in sheets.values()) < 46_000


def test_every_icon_that_is_named_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', (ROOT / "static/icons.svg").read_text()))
    templates = "".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
    named = set(re.findall(r'{% icon "([\w-]+)"', templates)) | set(
        re.findall(r'symbol="([\w-]+)"', templates)
    )
    named |= {state.replace("_", "-") for state in words.STATE_WORDS}
    assert named <= drawn


def test_templates_keep_to_the_content_policy() -> None:
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"\sstyle=|\son\w+=|hx-on|javascript:|<style", text), path
        assert not re.search(r"(?:src|href)=[\"']https?://", text), path
        for script in re.findall(r"<script\b[^>]*>", text):
            assert "src=" in script or 'type="application/json"' in script, path


def render(source: str, **context: Any) -> str:
    return engines["django"].from_string("{% load depot_pages %}" + source).render(context)


@pytest.mark.parametrize(
    ("source", "value", "text"),
    [
        ("{{ v|kw }}", 1234.4, "1,234 kW"),
        ("{{ v|kw }}", -45.0, "−45 kW"),
        ("{{ v|kw }}", -12.46, "−12.5 kW"),
        ("{{ v|kw }}", -0.0, "0 kW"),
        ("{{ v|kw }}", None, "–"),
        ("{{ v|signed_kw }}", 40.0, "+40 kW"),
        ("{{ v|signed_kw }}", -40.0, "−40 kW"),
        ("{{ v|signed_kw }}", 0.0, "0 kW"),
        ("{{ v|signed_kw }}", None, "–"),
        ("{{ v|kwh }}", 1234.4, "1,234 kWh"),
        ("{{ v|kwh }}", 12.5, "12.5 kWh"),
        ("{{ v|kwh }}", None, "–"),
        ("{{ v|percent }}", 0.844, "84 %"),
        ("{{ v|percent:1 }}", 0.844, "84.4 %"),
        ("{{ v|percent }}", None, "–"),
        ('{{ v|money:"USD" }}', Decimal("1940.49"), "$1,940"),
        ('{{ v|money:"USD" }}', -12.7, "−$13"),
        ('{{ v|money:"JPY" }}', Decimal("1200"), "¥1,200"),
        ('{{ v|money:"NOK" }}', Decimal("1200"), "1,200 NOK"),
        ('{{ v|money:"USD" }}', None, "–"),
        ('{{ v|cents:"USD" }}', Decimal("-3.456"), "−$3.46"),
        ('{{ v|cents:"EUR" }}', 2.5, "€2.50"),
        ('{{ v|cents:"USD" }}', None, "–"),
        ("{{ v|number:2 }}", 1234.567, "1,234.57"),
        ("{{ v|ago }}", None, "never"),
    ],
)
def test_numbers_are_written_with_their_unit(source: str, value: Any, text: str) -> None:
    assert render(source, v=value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "just now"), (12, "12 s ago"), (250, "4 min ago"), (7300, "2 h ago"), (200_000, "2 days ago")],
)
def test_ages_are_said_in_words(seconds: int, text: str) -> None:
    assert words.age_in_words(timedelta(seconds=seconds)) == text


def test_moments_are_shown_in_the_depots_zone(depot: Depot) -> None:
    shown = render("{{ at|local_moment:depot }} {{ at|zone:depot }}", at=factories.NOW, depot=depot)
    assert shown == "Tue 10 Mar 11:00 EDT"
    missing = "{{ at|local_moment:d }}{{ at|local_time:d }}{{ at|local_day:d }}{{ at|zone:d }}"
    assert render(missing, at=None, d=depot) == "––––"


def test_a_value_says_when_it_is_stale(time_machine: Any) -> None:
    time_machine.move_to(factories.NOW, tick=False)
    source = "{% freshness at 60 %}"
    fresh = render(source, at=factories.NOW - timedelta(seconds=12))
    assert "12 s ago" in fresh and "stale" not in fresh
    assert "stale, 4 min ago" in render(source, at=factories.NOW - timedelta(minutes=4))
    assert "never received" in render(source, at=None)
    assert render("{{ at|ago }}", at=factories.NOW - timedelta(hours=3)) == "3 h ago"


def test_a_state_is_icon_word_and_colour() -> None:
    shown = render('{% badge "at_risk" %}')
    assert "At risk" in shown and "tone-at-risk" in shown and "#at-risk" in shown
    assert "Leaves with 52 %" in render('{% badge "will_miss" "Leaves with 52 %" %}')
    with pytest.raises(TemplateSyntaxError, match="no state 'happy'"):
        render('{% badge "happy" %}')


def test_a_level_is_drawn_within_its_bar_and_said_in_words() -> None:
    shown = render('{% level 1.2 "120 %, needs 75 %" mark=0.75 tone="at_risk" %}')
    assert 'width="100.0"' in shown and 'x1="75.0"' in shown and "tone-at-risk" in shown
    assert 'aria-label="120 %, needs 75 %"' in shown
    assert "line" not in render('{% level None "not known" %}')


def test_cards_and_slots_are_placed_only_where_an_app_serves_them(depot: Depot) -> None:
    served = render('{% card "depot:card-alerts" span=8 name="alerts" %}', depot=depot)
    assert f'hx-get="/{depot.slug}/cards/alerts"' in served and "span-8" in served
    assert render('{% card "charging:no-such-card" %}', depot=depot).strip() == ""
    assert render('{% slot "charging:no-such-slot" %}', depot=depot).strip() == ""


def test_home_names_the_place_the_time_and_the_way_out(login: Any, dispatcher: User, depot: Depot) -> None:
    page = login(dispatcher).get(f"/{depot.slug}/").content.decode()
    assert re.search(r'href="/maple-street/" aria-current="page"', page)
    assert 'class="skip-link" href="#content"' in page
    assert '<form method="post" action="/log-out/">' in page
    assert '"allowEval": false' in page
    assert re.search(r'data-speed="1.0" data-zone="America/New_York">\d\d:\d\d</time>', page)
    assert "/admin/" not in page


def test_places_without_a_view_are_left_out(depot: Depot) -> None:
    request = RequestFactory().get(f"/{depot.slug}/")
    places = (Place("Home", "home", "home"), Place("Nowhere", "charging:nowhere", "plan"))
    shown = words.open_places({"depot": depot, "request": request, "places": places})  # type: ignore[arg-type]
    assert [(place["label"], place["current"]) for place in shown] == [("Home", True)]
    assert words.open_places({"depot": None}) == []  # type: ignore[arg-type]


def test_a_place_is_current_on_the_pages_below_it(depot: Depot) -> None:
    places = (Place("Home", "home", "home"), Place("Alerts", "depot:card-alerts", "bell"))
    for path, current in (("cards/alerts/7", [False, True]), ("cards/alerts-old", [False, False])):
        request = RequestFactory().get(f"/{depot.slug}/{path}")
        shown = words.open_places({"depot": depot, "request": request, "places": places})  # type: ignore[arg-type]
        assert [place["current"] for place in shown] == current


def test_the_switcher_lists_only_own_depots(login: Any, dispatcher: User, other_depot: Depot) -> None:
    page = login(dispatcher).get("/", follow=True).content.decode()
    assert other_depot.name not in page
    second = factories.make_depot("Oak Street")
    factories.Membership.objects.create(user=dispatcher, depot=second, role="viewer")
    page = login(dispatcher).get("/").content.decode()
    assert "Oak Street" in page and other_depot.name not in page


def test_somebody_without_a_depot_is_told_what_to_do(client: Client, db: None) -> None:
    client.force_login(factories.make_person(None), backend="django.contrib.auth.backends.ModelBackend")
    assert "Ask the owner of a depot" in client.get("/").content.decode()


def alerts(client: Client, depot: Depot) -> str:
    return client.get(f"/{depot.slug}/cards/alerts").content.decode()


def test_open_alerts_are_shown_the_worst_first(login: Any, viewer: User, depot: Depot) -> None:
    client = login(viewer)
    assert "Nothing needs you now" in alerts(client, depot)
    for number in range(9):
        raise_alert(depot, Cause(f"quiet-{number}", "info", f"Quiet {number}"))
    raise_alert(depot, Cause("van", "critical", "Van 03 must be plugged in by 11:50", "It needs 70 %."))
    shown = alerts(client, depot)
    assert shown.index("Van 03") < shown.index("Quiet")
    assert "2 more" in shown
    bell = client.get(f"/{depot.slug}/cards/alert-bell").content.decode()
    assert "10 open alerts" in bell and "critical" in bell


def test_alerts_of_another_depot_are_not_there(login: Any, outsider: User, depot: Depot) -> None:
    for card in ("alerts", "alert-bell"):
        assert login(outsider).get(f"/{depot.slug}/cards/{card}").status_code == 404


def test_a_wrong_password_and_a_locked_name_are_explained(client: Client, viewer: User) -> None:
    wrong = {"username": viewer.username, "password": "wrong"}
    assert "Nothing was changed" in client.post("/log-in/", wrong).content.decode()
    for _ in range(9):
        locked = client.post("/log-in/", wrong)
    assert locked.status_code == 429
    assert "Too many attempts" in locked.content.decode()


def test_one_address_cannot_try_one_password_on_many_names(
    client: Client, viewer: User, settings: Any
) -> None:
    settings.FAILURES_PER_ADDRESS = 4
    viewer.set_password("a right password 9")
    viewer.save()
    tries = [client.post("/log-in/", {"username": f"u{i}", "password": "Spring2026!"}) for i in range(6)]
    assert [answer.status_code for answer in tries] == [200, 200, 200, 429, 429, 429]
    right = {"username": viewer.username, "password": "a right password 9"}
    assert client.post("/log-in/", right).status_code == 429
    assert client.post("/log-in/", right, REMOTE_ADDR="198.51.100.7").status_code == 302


def test_errors_say_what_happened_and_where_to_go(login: Any, viewer: User, rf: RequestFactory) -> None:
    missing = login(viewer).get("/nowhere/at/all")
    assert missing.status_code == 404 and "nothing at this address" in missing.content.decode()
    request = rf.get("/")
    for answer in (
        defaults.permission_denied(request, PermissionError("Ask an owner of the depot.")),
        defaults.server_error(request),
    ):
        assert isinstance(answer, HttpResponse)
        assert "Back to your depots" in answer.content.decode()
    strict = Client(enforce_csrf_checks=True)
    assert "open for too long" in strict.post("/log-in/", {}).content.decode()


def test_pages_carry_the_strict_policy(client: Client, db: None) -> None:
    policy = client.get("/log-in/").headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
