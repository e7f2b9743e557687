"""A log that is behind what its witness cosigned signs nothing more."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from logs import ORIGIN, make_log_key, restore_log
from sqlalchemy import Engine

from service.database import reading, transaction
from service.log_commands import serve_state
from service.transparency.log import (
    append_entry,
    read_entry_bundle,
    read_tile,
    signed_checkpoint,
)
from service.transparency.models import LogWitness
from service.transparency.notes import KeyMalformed, LogKey
from service.transparency.tiles import parse_tile_path
from service.transparency.witness import WitnessKey, open_witness_key, witness_log
from service.transparency.witnesses import (
    BehindWitness,
    Witness,
    Witnesses,
    WitnessSilent,
    longest_silence,
    parse_witnesses,
    require_not_behind,
)

GRACE = timedelta(hours=24)


class Watched:
    """A service's log, and a witness that really reads it and really serves what it cosigned."""

    def __init__(self, engine: Engine, folder: Path, now: datetime) -> None:
        self.engine, self.now, self.key = engine, now, make_log_key()
        self.state = folder / "state"
        self.witness: WitnessKey = open_witness_key(folder / "witness.pem", "saksi.contoh.invalid")
        self.server = serve_state(self.state, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{self.server.server_port}/checkpoint"
        self.witnesses = Witnesses((Witness(self.witness.verifier, url),), ORIGIN, GRACE)

    def append(self, count: int) -> None:
        with transaction(self.engine) as session:
            for number in range(count):
                append_entry(session, "test", {"n": number}, self.now)

    def cosign(self, key: LogKey | None = None) -> None:
        witness_log(self.read, (key or self.key).verifier, self.witness, self.state, self.now)

    def read(self, place: str, _most: int) -> bytes:
        with reading(self.engine) as session:
            if place == "checkpoint":
                return signed_checkpoint(session, self.key).encode()
            _, kind, path = place.split("/", 2)
            parsed = parse_tile_path(path)
            assert parsed is not None
            found = (
                read_entry_bundle(session, *parsed)
                if kind == "entries"
                else read_tile(session, int(kind), *parsed)
            )
            assert found is not None
            return found

    def check(self, hours: int = 0) -> None:
        require_not_behind(self.engine, self.witnesses, self.now + timedelta(hours=hours))


@pytest.fixture
def watched(engine: Engine, tmp_path: Path, now: datetime) -> Iterator[Watched]:
    watched = Watched(engine, tmp_path, now)
    yield watched
    watched.server.shutdown()
    watched.server.server_close()


def test_a_log_at_or_ahead_of_its_witness_may_sign(watched: Watched) -> None:
    watched.append(5)
    watched.cosign()
    watched.check()
    watched.append(3)
    watched.check(hours=1)
    with reading(watched.engine) as session:
        known = session.get_one(LogWitness, "saksi.contoh.invalid")
        assert (known.size, known.seen_at) == (5, watched.now + timedelta(hours=1))
        assert known.cosignature in signed_checkpoint(session, watched.key, 5)


def test_twenty_old_backups_are_refused(watched: Watched) -> None:
    """Half of them as they were, half of them after they went on by themselves."""
    watched.append(45)
    watched.cosign()
    refused = 0
    for backup in range(20):
        restore_log(watched.engine, 44 - 2 * backup)
        if backup % 2:
            watched.append(2 * backup + 1)
        with pytest.raises(BehindWitness):
            watched.check()
        refused += 1
    assert refused == 20


def test_a_silent_witness_is_borne_with_for_a_while(watched: Watched) -> None:
    watched.append(1)
    with pytest.raises(WitnessSilent):  # It was never heard: nobody knows what it saw.
        watched.check()
    watched.cosign()
    watched.check()
    watched.state.unlink()
    watched.check(hours=24)
    with pytest.raises(WitnessSilent):
        watched.check(hours=25)
    with reading(watched.engine) as session:
        names, later = ["saksi.contoh.invalid"], watched.now + timedelta(hours=2)
        assert longest_silence(session, names, later) == 7200
        assert longest_silence(session, [*names, "other"], later) == float("inf")


def test_another_key_or_another_log_is_no_answer(watched: Watched, tmp_path: Path) -> None:
    watched.append(1)
    watched.cosign()
    stranger = open_witness_key(tmp_path / "other.pem", "saksi.contoh.invalid")
    url = watched.witnesses.every[0].url
    with pytest.raises(WitnessSilent):
        require_not_behind(
            watched.engine, Witnesses((Witness(stranger.verifier, url),), ORIGIN, GRACE), watched.now
        )
    with pytest.raises(BehindWitness):
        require_not_behind(
            watched.engine, Witnesses(watched.witnesses.every, "lain.invalid/log", GRACE), watched.now
        )


def test_an_answer_is_believed_for_a_minute(watched: Watched) -> None:
    watched.append(1)
    watched.cosign()
    watched.check()
    watched.state.unlink()
    require_not_behind(watched.engine, watched.witnesses, watched.now + timedelta(seconds=59))


def test_witnesses_are_named_by_key_and_address(watched: Watched) -> None:
    vkey = watched.witness.verifier.vkey
    text = f"{vkey} https://a.invalid/checkpoint, {vkey} http://b.invalid/checkpoint"
    assert [each.url for each in parse_witnesses(text)] == [
        "https://a.invalid/checkpoint", "http://b.invalid/checkpoint",
    ]  # fmt: skip
    assert parse_witnesses("") == ()
    for wrong in (vkey, f"{vkey} ftp://a", "nama https://a", f"{watched.key.verifier.vkey} https://a"):
        with pytest.raises(KeyMalformed):
            parse_witnesses(wrong)
