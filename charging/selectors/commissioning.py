"""How far a charger has been taken into service: five steps, each with what proves it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from charging.models import Charger, ChargerCommand, ChargingSession, MeterSample
from charging.selectors.board_stations import WRONG_CLOCK_S
from charging.selectors.links import is_linked
from depot.models import AuditEvent
from depot.templatetags.depot_pages import ago, kw, local_moment
from depot.words import tr

State = Literal["done", "open", "running", "failed", "skipped"]
Kind = Literal["limit", "discharge"]
LASTS = timedelta(minutes=3)
SETTLING = timedelta(seconds=60)
"""A charger is given so long to reach a power before it is judged."""
PATIENCE = timedelta(minutes=6)
SLACK = 0.05
SLACK_KW = 0.5
FLOWS_KW = 0.5
"""Less than this is no flow."""
TEST, SIGNED = "charger.tested", "charger.signed_off"


@dataclass(frozen=True, slots=True)
class Step:
    """One step, its state, and in words what proves it or what to do next."""

    key: str
    title: str
    state: State
    words: str

    @property
    def passed(self) -> bool:
        return self.state in ("done", "skipped")

    @property
    def badge(self) -> tuple[str, str]:
        """Return the state of the design and the word for it."""
        return {
            "done": ("ready", tr("Done")),
            "open": ("waiting", tr("To do")),
            "running": ("on_track", tr("Running")),
            "failed": ("will_miss", tr("Failed")),
            "skipped": ("free", tr("Not needed")),
        }[self.state]


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a test: the states of its commands, and powers (kW) measured when it had settled."""

    at: datetime
    wanted_kw: float
    states: Sequence[str]
    powers_kw: Sequence[float]


Judge = Callable[[Measured, datetime], tuple[State, str]]


def commissioning(charger: Charger, now: datetime) -> list[Step]:
    """Return the five steps of a charger; tests are judged by their commands' answers and the meter."""
    signed = _last(charger, SIGNED)
    same = signed is not None and signed.facts["firmware"] == charger.firmware
    kept = signed.facts["steps"] if signed is not None and same else {}
    judges: dict[Kind, Judge] = {"limit": judge_limit, "discharge": judge_discharge}
    tests = [
        _test(charger, kind, _measured(charger, kind, now), judge, kept, now)
        for kind, judge in judges.items()
    ]
    return [_connect(charger, now), _boot(charger), *tests, _sign_off(charger, signed)]


def _last(charger: Charger, verb: str, **facts: str) -> AuditEvent | None:
    """Return the newest act of a kind on a charger: the audit trail is the record of who commissioned what."""
    wanted = {f"facts__{name}": value for name, value in facts.items()}
    rows = AuditEvent.objects.filter(depot=charger.depot_id, verb=verb, facts__charger=charger.pk, **wanted)
    return rows.order_by("-at", "-pk").first()


def _connect(charger: Charger, now: datetime) -> Step:
    title = tr("Connect")
    if is_linked(charger, now):
        return Step(
            "connect",
            title,
            "done",
            tr("Connected, heard of {last_seen_at}.", last_seen_at=ago(charger.last_seen_at)),
        )
    if charger.last_seen_at is not None:
        words = tr(
            "It was connected and is not now; last heard of {last_seen_at}. Check its network.",
            last_seen_at=ago(charger.last_seen_at),
        )
        return Step("connect", title, "failed", words)
    missing = "" if charger.password_hash else tr("Give it a password in the set-up first. ")
    words = tr(
        "{missing}Enter the address of the gateway in the charger, ending in /ocpp/{identity}.",
        missing=missing,
        identity=charger.identity,
    )
    return Step("connect", title, "open", words)


def _boot(charger: Charger) -> Step:
    title = tr("Start up")
    if charger.booted_at is None:
        return Step(
            "boot", title, "open", tr("It has not said what it is yet. Restart it once it is connected.")
        )
    what = " ".join(part for part in (charger.vendor, charger.model) if part) or tr(
        "A charger of unknown make"
    )
    said = f"{what}{f', firmware {charger.firmware}' if charger.firmware else ''}"
    if charger.admission != Charger.Admission.ACCEPTED:
        words = tr("{said}. It is held back: set its admission to accepted in the set-up.", said=said)
        return Step("boot", title, "failed", words)
    if abs(charger.clock_offset_s or 0.0) > WRONG_CLOCK_S:
        words = tr(
            "{said}. Its clock is {clock_offset_s:.0f} s off; let it set its time.",
            said=said,
            clock_offset_s=abs(charger.clock_offset_s or 0.0),
        )
        return Step("boot", title, "failed", words)
    started = local_moment(charger.booted_at, charger.depot)
    return Step("boot", title, "done", tr("{said}, started {started}.", said=said, started=started))


def _test(
    charger: Charger, kind: Kind, test: Measured | None, judge: Judge, kept: dict[str, str], now: datetime
) -> Step:
    title = {"limit": tr("Test a limit"), "discharge": tr("Test discharging")}[kind]
    if kind == "discharge" and not charger.bidirectional:
        return Step(kind, title, "skipped", tr("The charger is one-way."))
    if test is None and kind in kept:
        return Step(kind, title, "done", kept[kind])
    if test is None:
        return Step(kind, title, "open", _to_do(kind))
    state, words = judge(test, now)
    if state == "failed" and kind in kept:
        words = tr("{words} It had passed before it was signed off.", words=words)
    return Step(kind, title, state, words)


def _to_do(kind: Kind) -> str:
    if kind == "limit":
        return tr("Plug in a vehicle that can take charge, then order the test: it must keep to the limit.")
    return tr(
        "Plug in a vehicle that may discharge and has charge to spare, then order the test: "
        "power must flow back."
    )


def _measured(charger: Charger, kind: str, now: datetime) -> Measured | None:
    event = _last(charger, TEST, kind=kind, firmware=charger.firmware)
    if event is None:
        return None
    commands = ChargerCommand.objects.filter(pk__in=event.facts["commands"]).values_list("state", flat=True)
    powers = MeterSample.objects.filter(
        session__connector=event.facts["connector"],
        sampled_at__gt=event.at + SETTLING,
        sampled_at__lte=min(event.at + LASTS, now),
    )
    return Measured(
        event.at, event.facts["power_kw"], list(commands), list(powers.values_list("power_kw", flat=True))
    )


def judge_limit(test: Measured, now: datetime) -> tuple[State, str]:
    """Judge a test of a limit: taken, and no power above it once settled while some flowed."""
    early = _answered(test, now)
    if early is not None:
        return early
    most = max(test.powers_kw)
    limit = kw(test.wanted_kw)
    if most > test.wanted_kw * (1 + SLACK) + SLACK_KW:
        return (
            "failed",
            tr(
                "It drew up to {most} under a limit of {limit}. Check what it does with profiles.",
                most=kw(most),
                limit=limit,
            ),
        )
    if most < FLOWS_KW:
        return (
            "failed",
            tr(
                "It took the limit of {limit}, but nothing charged. Try with a vehicle that is not full.",
                limit=limit,
            ),
        )
    return "done", tr("It drew at most {most} under a limit of {limit}.", most=kw(most), limit=limit)


def judge_discharge(test: Measured, now: datetime) -> tuple[State, str]:
    """Judge a test of discharging: taken, and power flowed out of the vehicle, no more than asked for."""
    early = _answered(test, now)
    if early is not None:
        return early
    given = -min(test.powers_kw)
    wanted = kw(-test.wanted_kw)
    if given < FLOWS_KW:
        return "failed", tr("It took the order to give {wanted}, but nothing flowed back.", wanted=wanted)
    if given > -test.wanted_kw * (1 + SLACK) + SLACK_KW:
        return "failed", tr(
            "It gave {given}, more than the {wanted} that were asked for.", given=kw(given), wanted=wanted
        )
    return "done", tr("It gave up to {given} when {wanted} were asked for.", given=kw(given), wanted=wanted)


def _answered(test: Measured, now: datetime) -> tuple[State, str] | None:
    """Judge what the commands' answers decide: refused, not answered, or not measured (yet)."""
    refused = {ChargerCommand.State.REJECTED, ChargerCommand.State.FAILED} & set(test.states)
    if refused:
        return "failed", tr("It refused the order. See its answer among what it was told, and its notices.")
    if ChargerCommand.State.SUPERSEDED in test.states:
        return "failed", tr("A new plan took the place of the test before it was sent. Order it again.")
    if ChargerCommand.State.EXPIRED in test.states:
        return "failed", tr("It did not answer in time. Check its link and order the test again.")
    if test.powers_kw:
        return None
    if now - test.at < PATIENCE:
        return (
            "running",
            tr("Ordered; its meter is read for three minutes. Load the page again to see what came of it."),
        )
    return "failed", tr("Its meter said nothing during the test. Plug in a vehicle and order the test again.")


def _sign_off(charger: Charger, signed: AuditEvent | None) -> Step:
    title = tr("Sign off")
    if signed is None:
        return Step(
            "sign_off", title, "open", tr("When all steps above are done, sign off that it may be used.")
        )
    who = tr(
        "Signed off by {actor_name}, {at}",
        actor_name=signed.actor_name,
        at=local_moment(signed.at, charger.depot),
    )
    tested = signed.facts["firmware"]
    if tested != charger.firmware:
        runs = charger.firmware or "another"
        words = tr(
            "{who}, with firmware {tested}. It runs {runs} now: test it again.",
            who=who,
            tested=tested or "unknown",
            runs=runs,
        )
        return Step("sign_off", title, "failed", words)
    return Step("sign_off", title, "done", f"{who}.")


def open_sessions(charger: Charger) -> list[ChargingSession]:
    """Return the sessions of vehicles that hang at a charger."""
    rows = ChargingSession.objects.filter(connector__charger=charger, unplugged_at__isnull=True)
    return list(rows.select_related("connector__charger", "vehicle__type", "vehicle__state"))
