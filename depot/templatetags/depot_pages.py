"""The words and parts that all pages share: numbers with units, states, freshness, icons, cards, places."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from django import template
from django.template.context import Context
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from depot import clock, measures
from depot.models import Depot
from depot.money import format_money, minor_units
from depot.words import LANGUAGES, day_words, figures, mark, tr

register = template.Library()

MISSING = "–"
_LEVEL = """<svg class="level tone-{}" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" aria-label="{}">
  <rect class="level-ground" y="1" width="100" height="6" />
  <rect class="level-value" y="1" width="{}" height="6" />
  {}
</svg>"""
_LEVEL_MARK = '<line class="level-mark" x1="{at}" x2="{at}" y1="0" y2="8" />'
STATE_WORDS = {
    "ready": mark("Ready"),
    "on_track": mark("On track"),
    "at_risk": mark("At risk"),
    "will_miss": mark("Will miss"),
    "charging": mark("Charging"),
    "discharging": mark("Discharging"),
    "waiting": mark("Waiting"),
    "away": mark("Away"),
    "free": mark("Free"),
    "fault": mark("Fault"),
    "offline": mark("Offline"),
    "info": mark("For information"),
    "warning": mark("Needs attention"),
    "critical": mark("Act now"),
}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=%|kWh?\b)")


@register.filter
def said(key: str) -> str:
    """Say a stored word, such as a unit, in the reader's language."""
    return tr(key)


@register.filter
def number(value: float | Decimal | None, decimals: int = 0) -> str:
    """Write a number with thousands separators and a true minus sign; a dash when there is none."""
    if value is None:
        return MISSING
    text = f"{value:,.{decimals}f}"
    if not text.strip("-0.,"):
        text = text.lstrip("-")
    return figures(text).replace("-", "−")


@register.filter
def exact(value: Decimal | None) -> str:
    """Write a decimal with all its digits but no zeros at its end: 0.18129, 1,550, 30.5."""
    if value is None:
        return MISSING
    digits = f"{value.normalize():,f}"
    return figures(digits).replace("-", "−")


@register.filter
def kw(value: float | None) -> str:
    """Write a power: one decimal below 100 kW, none above."""
    if value is None:
        return MISSING
    return f"{number(value, 0 if abs(value) >= 99.95 or float(value).is_integer() else 1)} kW"


@register.filter
def signed_kw(value: float | None) -> str:
    """Write a power with its sign: + charging or import, − discharging or export."""
    text = kw(value)
    return f"+{text}" if value is not None and value > 0 and text != "0 kW" else text


@register.filter
def kwh(value: float | None) -> str:
    """Write an energy: one decimal below 100 kWh, none above."""
    if value is None:
        return MISSING
    return f"{number(value, 0 if abs(value) >= 99.95 or float(value).is_integer() else 1)} kWh"


@register.filter
def unbroken(text: str) -> str:
    """Keep each number of a sentence on one line with its unit."""
    return _BEFORE_UNIT.sub("\u00a0", text)


@register.filter
def percent(fraction: float | None, decimals: int = 0) -> str:
    """Write a fraction of 1 as a percentage: 0.84 is 84 %."""
    return MISSING if fraction is None else f"{number(fraction * 100, decimals)} %"


@register.filter
def price(amount: Decimal | float | None) -> str:
    """Write a price with as many decimals as it has, two at least: 0.10, 0.4521, 147.35."""
    if amount is None:
        return MISSING
    exact = round(Decimal(str(amount)), 6).normalize()
    places = max(2, -int(exact.as_tuple().exponent))
    return number(exact, places)


@register.filter
def cents(amount: Decimal | float | None, currency: str) -> str:
    """Write an amount to the currency's smallest unit, as on a bill."""
    if amount is None:
        return MISSING
    exact = amount if isinstance(amount, Decimal) else Decimal(str(amount))
    return format_money(exact, currency).replace("-", "−")


@register.filter
def money(amount: Decimal | float | None, currency: str) -> str:
    """Write an amount to the whole unit of its currency, for a glance: $1,940."""
    if amount is None:
        return MISSING
    whole = cents(round(Decimal(str(amount))), currency)
    decimals = minor_units(currency)
    return whole.replace(figures("." + "0" * decimals), "", 1) if decimals else whole


@register.filter
def distance(km: float | None, depot: Depot) -> str:
    """Write a distance in the depot's units: 1,234 km, or 767 mi."""
    return MISSING if km is None else measures.distance(km, depot.units)


@register.filter
def exact_distance(km: float | None, depot: Depot) -> str:
    """Write a distance in the depot's units to a tenth: 46.5 km, or 28.9 mi."""
    return MISSING if km is None else measures.distance(km, depot.units, 1)


@register.filter
def consumption(kwh_per_km: float, depot: Depot) -> str:
    """Write what driving takes in the depot's units: 0.93 kWh/km, or 1.50 kWh/mi."""
    return measures.consumption(kwh_per_km, depot.units)


@register.filter
def temperature(celsius: float | None, depot: Depot) -> str:
    """Write a temperature in the depot's units: 21 °C, or 70 °F."""
    return MISSING if celsius is None else measures.temperature(celsius, depot.units)


@register.filter
def local_time(at: datetime | None, depot: Depot) -> str:
    """Write a moment as the depot's time of day: 06:10."""
    return MISSING if at is None else f"{depot.local(at):%H:%M}"


@register.filter
def local_day(at: datetime | None, depot: Depot) -> str:
    """Write the depot's date of a moment: Tue 24 Nov, Di 24. Nov."""
    if at is None:
        return MISSING
    return day_words(depot.local(at))


@register.filter
def local_moment(at: datetime | None, depot: Depot) -> str:
    """Write a moment as the depot's day and time: Tue 24 Nov 06:10."""
    return MISSING if at is None else f"{local_day(at, depot)} {local_time(at, depot)}"


@register.filter
def zone(at: datetime | None, depot: Depot) -> str:
    """Name the depot's time zone at a moment: EST, CEST, or an offset where the zone has no letters."""
    return MISSING if at is None else f"{depot.local(at):%Z}"


def age_in_words(age: timedelta) -> str:
    """Say how long ago: "just now", "12 s ago", "4 min ago", "3 h ago", "2 days ago"."""
    seconds = age.total_seconds()
    if seconds < 2:
        return tr("just now")
    if seconds < _MINUTE:
        return tr("{seconds:.0f} s ago", seconds=seconds)
    if seconds < _HOUR:
        return tr("{minutes:.0f} min ago", minutes=seconds // _MINUTE)
    if seconds < 2 * _DAY:
        return tr("{hours:.0f} h ago", hours=seconds // _HOUR)
    return tr("{days:.0f} days ago", days=seconds // _DAY)


@register.filter
def ago(at: datetime | None) -> str:
    """Say how long ago a moment was, by the depot's clock."""
    return tr("never") if at is None else age_in_words(clock.now() - at)


@register.simple_tag
def age(at: datetime, stale: bool) -> SafeString:
    """Say how long ago something was heard; static/js/app.js lets the age run on."""
    said = ago(at)
    return format_html(
        '<time class="fresh{}" datetime="{}" data-age>{}</time>',
        " stale" if stale else "",
        at.isoformat(),
        tr("stale, {age}", age=said) if stale else said,
    )


@register.simple_tag
def freshness(at: datetime | None, stale_after_seconds: float = 300) -> SafeString:
    """Stamp a value with its age; greyed and marked once it is older than `stale_after_seconds`."""
    if at is None:
        return format_html('<span class="fresh stale">{}</span>', tr("never received"))
    age = clock.now() - at
    stale = age.total_seconds() > stale_after_seconds
    return format_html(
        '<time class="fresh{}" datetime="{}">{}</time>',
        " stale" if stale else "",
        at.isoformat(),
        tr("stale, {age}", age=age_in_words(age)) if stale else age_in_words(age),
    )


@register.simple_tag
@cache
def icon(name: str) -> SafeString:
    """Draw an icon of static/icons.svg; the word beside it carries the meaning."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>',
        static("icons.svg"),
        name.replace("_", "-"),
    )


@register.simple_tag
def badge(state: str, words: str = "") -> SafeString:
    """Show a state (a key of `STATE_WORDS`) as icon, word and colour; `words` replaces the word."""
    if state not in STATE_WORDS:
        raise template.TemplateSyntaxError(
            f"badge knows no state '{state}'. Use one of {', '.join(STATE_WORDS)}."
        )
    return format_html(
        '<span class="badge tone-{}">{}{}</span>',
        state.replace("_", "-"),
        icon(state),
        words or tr(STATE_WORDS[state]),
    )


@register.filter
def state_word(state: str) -> str:
    """Return the word of a state (a key of `STATE_WORDS`)."""
    return tr(STATE_WORDS[state])


@register.filter
def own_name(language: str) -> str:
    """Return a language's name in itself: Deutsch."""
    return LANGUAGES[language]


@register.filter
def tone(state: str) -> str:
    """Return the end of the class that gives a state its colour: at_risk is tone-at-risk."""
    return state.replace("_", "-")


@register.simple_tag
def level(
    fraction: float | None, words: str, mark: float | None = None, tone: str = "charging"
) -> SafeString:
    """Draw a level (0..1) as a thin bar with an optional `mark` (what is needed); `words` say the same."""
    needed = "" if mark is None else format_html(_LEVEL_MARK, at=_position(mark))
    return format_html(_LEVEL, tone.replace("_", "-"), words, _position(fraction or 0.0), needed)


def _position(value: float) -> str:
    return f"{100 * min(max(value, 0.0), 1.0):.1f}"


@register.simple_tag(takes_context=True)
def depot_clock(context: Context) -> SafeString:
    """Show the depot's time of day; static/js/app.js lets it run at the speed of the depot's clock."""
    depot: Depot = context["depot"]
    running = clock.clock()
    now = clock.now()
    return format_html(
        '<time id="depot-clock" data-now="{}" data-speed="{}" data-zone="{}">{}</time>',
        round(now.timestamp() * 1000),
        running.speed,
        depot.time_zone,
        local_time(now, depot),
    )


def installed_url(view: str, slug: str) -> str:
    """Return the address of a depot's page or fragment, or "" when no app serves it."""
    try:
        return reverse(view, kwargs={"slug": slug})
    except NoReverseMatch:
        return ""


@register.simple_tag(takes_context=True)
def open_places(context: Context) -> list[dict[str, Any]]:
    """Return the places that exist, each with its address and whether the page belongs to it."""
    depot: Depot | None = context.get("depot")
    if depot is None:
        return []
    here = context["request"].path
    home = reverse("home", kwargs={"slug": depot.slug})
    places = []
    for place in context["places"]:
        url = installed_url(place.view, depot.slug)
        below = url != home and here.startswith(f"{url.rstrip('/')}/")
        current = here == url or below
        if url:
            places.append({"label": place.label, "icon": place.icon, "url": url, "current": current})
    return places


@register.inclusion_tag("partials/card_slot.html", takes_context=True)
def card(
    context: Context, view: str, span: int = 12, every: str = "10s", name: str = "", framed: bool = True
) -> dict[str, Any]:
    """Place a card that `view` fills and refreshes; nothing is placed where no app serves the view."""
    url = installed_url(view, context["depot"].slug)
    return {"url": url, "span": span, "every": every, "name": name, "framed": framed}


@register.inclusion_tag("partials/slot.html", takes_context=True)
def slot(context: Context, view: str, every: str = "15s") -> dict[str, Any]:
    """Place a fragment without a frame (in the top bar, in a line) that `view` fills and refreshes."""
    return {"url": installed_url(view, context["depot"].slug), "every": every}
