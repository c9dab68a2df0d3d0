"""Who comes in, without a socket: right credentials always, wrong ones never, and nobody fills the memory."""

from __future__ import annotations

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from charging.models import Charger, UnknownStation
from charging.ocpp import doorman
from charging.ocpp.doorman import Doorman, Visitor, note
from charging.passwords import SCHEME, fits, hash_password
from tests import factories

PASSWORD = "Zk3-random-words-of-the-product"


def guest(identity: str, password: str = PASSWORD, address: str = "10.0.0.1") -> Visitor:
    return Visitor(identity, identity, password, None, address)


@pytest.fixture
def old_hash() -> str:
    """Return a hash as earlier versions made them."""
    return PBKDF2PasswordHasher().encode(PASSWORD, "salt", 1000)


def test_a_wrong_password_never_costs_more_than_its_hash(
    old_hash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Django's own check hashes a million rounds more after a wrong one: every guess would take half a second."""
    monkeypatch.setattr(PBKDF2PasswordHasher, "harden_runtime", lambda *_: pytest.fail("hashed on"))
    assert fits(PASSWORD, old_hash) and not fits("wrong", old_hash)
    new = hash_password(PASSWORD)
    assert new != hash_password(PASSWORD)
    assert fits(PASSWORD, new) and not fits("wrong", new)
    assert not fits("", "") and not fits(PASSWORD, doorman.NOBODY)


def test_old_hashes_are_renewed_and_new_passwords_take_over(depot, old_hash: str) -> None:
    charger = factories.make_charger(depot, password_hash=old_hash)
    found = Doorman().admit(guest(charger.identity))
    charger.refresh_from_db()
    assert found is not None and found.password_hash == charger.password_hash
    assert charger.password_hash.startswith(SCHEME)
    Charger.objects.update(next_password_hash=hash_password("the next one, as random"))
    assert Doorman().admit(guest(charger.identity)) is not None
    found = Doorman().admit(guest(charger.identity, "the next one, as random"))
    charger.refresh_from_db()
    assert found is not None and found.password_hash == charger.password_hash
    assert charger.next_password_hash == ""
    assert Doorman().admit(guest(charger.identity)) is None


def test_one_bad_charger_locks_out_nobody_behind_its_address(depot) -> None:
    good, bad = (factories.make_charger(depot, password_hash=hash_password(PASSWORD)) for _ in range(2))
    door = Doorman()
    pauses = []
    for _ in range(100):
        assert door.admit(guest(bad.identity, "wrong")) is None
        pauses.append(door.pause_s(guest(bad.identity, "wrong")))
    assert pauses[: doorman.FREE_TRIES] == [0.0] * doorman.FREE_TRIES
    assert pauses[-1] == doorman.LONGEST_PAUSE_S
    assert door.admit(guest(good.identity)) == good
    assert door.admit(guest(bad.identity)) == bad
    assert door.pause_s(guest(good.identity, "wrong", "10.0.0.2")) == 0.0


def test_strangers_fill_neither_memory_nor_tables(depot, monkeypatch, django_assert_num_queries) -> None:
    monkeypatch.setattr(doorman, "MOST_REMEMBERED", 50)
    door = Doorman()
    with django_assert_num_queries(0):
        assert door.admit(guest("x" * 49)) is None
        assert door.admit(guest("a/b")) is None
    for number in range(200):
        stranger = guest(f"s{number}", address=f"10.0.{number}.1")
        door.pause_s(stranger)
        door.may_note(stranger)
    assert len(door._failures) == len(door._strangers) == 50
    told = [door.may_note(guest(f"s{number}")) for number in range(60)]
    assert sum(told) == doorman.MOST_STRANGERS
    assert not door.may_note(guest("x" * 5000, address="10.9.9.9"))
    known = factories.make_charger(depot)
    note(guest(known.identity))
    note(guest("stranger"))
    assert list(UnknownStation.objects.values_list("identity", flat=True)) == ["stranger"]
