"""The witness cosigns what continues what it cosigned, and nothing else."""

import random
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from logs import MemoryLog, make_log_key

from service.transparency.notes import NoteInvalid, open_checkpoint
from service.transparency.remote import LogForked, LogRewound, LogUnreachable
from service.transparency.witness import (
    NoWitnessKey,
    WitnessKey,
    last_cosigned,
    open_witness_key,
    witness_log,
)


@pytest.fixture
def witness(tmp_path: Path) -> WitnessKey:
    return open_witness_key(tmp_path / "witness.pem", "saksi.contoh.invalid")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def leaves_of(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def test_growth_is_cosigned_with_both_signatures(witness: WitnessKey, state: Path, now: datetime) -> None:
    log = MemoryLog(make_log_key(), leaves_of(3))
    for size in (3, 3, 4, 260, 600):
        log.leaves = leaves_of(size)
        note = witness_log(log, log.key.verifier, witness, state, now)
        assert open_checkpoint(note, witness.verifier).size == size
        assert open_checkpoint(note, log.key.verifier).size == size
        assert state.read_text() == note
    # Consistency takes tiles, not entries.
    assert not [place for place in log.asked if "entries" in place]


def test_a_hundred_forked_histories_are_never_cosigned(
    witness: WitnessKey, state: Path, now: datetime
) -> None:
    """Each changes, drops or inserts one leaf the witness has seen, and may grow by any number."""
    dice = random.Random(20261123)
    log = MemoryLog(make_log_key(), leaves_of(300))
    kept = witness_log(log, log.key.verifier, witness, state, now)
    cosigned = 0
    for _ in range(100):
        forked, place = leaves_of(300), dice.randrange(300)
        match dice.choice(["change", "drop", "insert"]):
            case "change":
                forked[place] = b"forked"
            case "drop":
                del forked[place]
            case "insert":
                forked.insert(place, b"forked")
        log.leaves = forked + [b"new %d" % number for number in range(dice.randrange(1, 300))]
        try:
            witness_log(log, log.key.verifier, witness, state, now)
            cosigned += 1
        except LogForked:
            pass
        assert state.read_text() == kept
    assert cosigned == 0


def test_a_rewound_log_is_not_cosigned(witness: WitnessKey, state: Path, now: datetime) -> None:
    log = MemoryLog(make_log_key(), leaves_of(300))
    kept = witness_log(log, log.key.verifier, witness, state, now)
    for size in (299, 256, 1):
        log.leaves = leaves_of(size)
        with pytest.raises(LogRewound):
            witness_log(log, log.key.verifier, witness, state, now)
    assert state.read_text() == kept


def test_another_logs_checkpoint_is_not_cosigned(witness: WitnessKey, state: Path, now: datetime) -> None:
    log = MemoryLog(make_log_key(), leaves_of(3))
    with pytest.raises(NoteInvalid):
        witness_log(log, make_log_key().verifier, witness, state, now)
    assert not state.exists()


def test_a_state_that_the_witness_did_not_sign_is_refused(
    witness: WitnessKey, state: Path, now: datetime
) -> None:
    log = MemoryLog(make_log_key(), leaves_of(300))
    state.write_text(log.checkpoint())
    with pytest.raises(NoteInvalid):
        witness_log(log, log.key.verifier, witness, state, now)


def test_tiles_that_are_missing_are_no_proof(witness: WitnessKey, state: Path, now: datetime) -> None:
    log = MemoryLog(make_log_key(), leaves_of(300))
    kept = witness_log(log, log.key.verifier, witness, state, now)
    log.leaves = leaves_of(600)

    def without_tiles(place: str, most: int) -> bytes:
        if place.startswith("tile"):
            raise LogUnreachable
        return log(place, most)

    with pytest.raises(LogUnreachable):
        witness_log(without_tiles, log.key.verifier, witness, state, now + timedelta(hours=1))
    assert state.read_text() == kept
    assert last_cosigned(state, witness.verifier) == open_checkpoint(kept, log.key.verifier)


def test_the_key_stays_the_same_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "witness.pem"
    first = open_witness_key(path, "saksi.contoh.invalid")
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_witness_key(path, "saksi.contoh.invalid").verifier == first.verifier
    path.chmod(0o644)
    with pytest.raises(NoWitnessKey):
        open_witness_key(path, "saksi.contoh.invalid")
