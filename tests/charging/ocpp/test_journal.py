"""The file that keeps chargers' words while the database is away, over restarts, power cuts and a full disk."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charging.ocpp import journal as journal_module
from charging.ocpp.journal import Entry, Journal, JournalFullError


def words(first: int, count: int) -> list[Entry]:
    return [
        Entry(number, "2.0.1", "Heartbeat", {"näme": "x" * (number % 7)})
        for number in range(first, first + count)
    ]


def numbers(journal: Journal, most: int = 1000) -> list[int]:
    return [entry.charger_id for entry in journal.oldest(most).entries]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ocpp" / "journal-9000.jsonl"


@settings(max_examples=60)
@given(
    acts=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(1, 5)),
            st.tuples(st.just("bring"), st.integers(1, 4)),
            st.tuples(st.just("restart"), st.just(0)),
        ),
        max_size=25,
    )
)
def test_words_come_once_and_in_order_whatever_happens_between(tmp_path_factory, acts) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal-1.jsonl"
    journal, said, brought = Journal(path), 0, []
    for act, count in acts:
        if act == "add":
            journal.add(words(said, count))
            said += count
        elif act == "bring":
            piece = journal.oldest(count)
            if piece.lines:
                brought += [entry.charger_id for entry in piece.entries]
                journal.forget(piece)
        else:
            journal = Journal(path)
        assert journal.waiting == said - len(brought)
    assert brought + numbers(journal) == list(range(said))
    if said and not journal.waiting:
        assert path.read_bytes() == b""


def test_a_line_cut_off_by_a_power_cut_spoils_no_later_word(path: Path, caplog) -> None:
    Journal(path).add(words(0, 2))
    with path.open("ab") as file:
        file.write(b'{"charger_id":7,"versio')
    journal = Journal(path)
    assert "ended within a line" in caplog.text
    journal.add(words(2, 1))
    assert numbers(Journal(path)) == [0, 1, 2]


def test_a_file_that_is_one_cut_line_is_empty(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(journal_module, "BLOCK_BYTES", 8)
    path.parent.mkdir()
    path.write_bytes(b'{"charger_id":7,"version":"2.0.1"')
    assert (Journal(path).waiting, path.read_bytes()) == (0, b"")


def test_a_broken_line_is_named_and_passed_over(path: Path, caplog) -> None:
    Journal(path).add(words(0, 1))
    with path.open("ab") as file:
        file.write(b"\x00\x00\x00\n")
    journal = Journal(path)
    journal.add(words(1, 1))
    piece = journal.oldest(10)
    assert ([entry.charger_id for entry in piece.entries], piece.lines) == ([0, 1], 3)
    assert "journal-9000.jsonl has a broken line" in caplog.text
    journal.forget(piece)
    assert journal.waiting == 0


def test_a_place_that_cannot_be_read_brings_all_in_again(path: Path, caplog) -> None:
    journal = Journal(path)
    journal.add(words(0, 3))
    journal.forget(journal.oldest(2))
    assert numbers(Journal(path)) == [2]
    path.with_suffix(".done").write_text("?")
    assert numbers(Journal(path)) == [0, 1, 2]
    assert "brought in again" in caplog.text
    path.with_suffix(".done").write_text("99999999")
    assert numbers(Journal(path)) == [0, 1, 2]


def test_a_full_journal_takes_nothing_more_and_keeps_what_it_has(path: Path) -> None:
    journal = Journal(path, most_bytes=200)
    journal.add(words(0, 2))
    with pytest.raises(JournalFullError, match="has reached its 200 bytes"):
        journal.add(words(2, 2))
    assert numbers(Journal(path)) == [0, 1]


def test_a_write_that_fails_halfway_leaves_no_half_line(path: Path, monkeypatch) -> None:
    journal = Journal(path)
    journal.add(words(0, 1))

    def fail(descriptor: int, text: bytes) -> None:
        journal_module.os.write(descriptor, text[:9])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(journal_module, "_write_all", fail)
        with pytest.raises(OSError, match="No space left"):
            journal.add(words(1, 1))
    journal.add(words(1, 1))
    assert numbers(journal) == numbers(Journal(path)) == [0, 1]


def test_a_long_outage_is_caught_up_piece_by_piece(path: Path) -> None:
    journal = Journal(path)
    for first in range(0, 20_000, 1_000):
        journal.add(words(first, 1_000))
    seen = []
    while journal.waiting:
        piece = journal.oldest(64)
        assert len(piece.entries) <= 64
        seen += [entry.charger_id for entry in piece.entries]
        journal.forget(piece)
    assert seen == list(range(20_000))
    assert not path.with_suffix(".done").exists()
