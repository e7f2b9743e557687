"""Signed notes: whose signature counts, and what is refused. The vectors are those of the specifications."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from logs import make_log_key

from service.transparency.notes import (
    COSIGNATURE,
    Checkpoint,
    KeyMalformed,
    NoteInvalid,
    Verifier,
    cosign_checkpoint,
    line_of,
    open_checkpoint,
    parse_vkey,
    sign_checkpoint,
)

STATE = Checkpoint("izin.contoh.invalid/log", 5, bytes(range(32)))


def make_witness(name: str = "saksi.contoh.invalid") -> tuple[Verifier, Ed25519PrivateKey]:
    key = Ed25519PrivateKey.generate()
    return Verifier(name, COSIGNATURE, key.public_key().public_bytes_raw()), key


def test_a_public_verifier_key_of_others_is_read() -> None:
    """The Go checksum database's key, as its documentation prints it."""
    text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
    assert parse_vkey(text).vkey == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nama",
        "nama+00000000+AA==",
        "sum.golang.org+033de0af+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "dua kata+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(KeyMalformed):
        parse_vkey(text)


def test_a_checkpoint_comes_back_and_signatures_of_others_are_passed_over() -> None:
    key, (witness, private) = make_log_key(), make_witness()
    note = sign_checkpoint(STATE, key)
    note += cosign_checkpoint(STATE, witness, private.sign, datetime(2026, 11, 23, tzinfo=UTC))
    for verifier in (key.verifier, witness):
        assert open_checkpoint(note, verifier) == STATE
    assert line_of(note, witness) in note


def test_a_cosignature_is_over_its_time_too() -> None:
    witness, private = make_witness()
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    signed = cosign_checkpoint(STATE, witness, private.sign, moment)
    later = cosign_checkpoint(STATE, witness, lambda _: b"\0" * 64, moment)
    note = f"{STATE.body}\n"
    assert open_checkpoint(note + signed, witness) == STATE
    with pytest.raises(NoteInvalid):
        open_checkpoint(note + later, witness)


def altered_notes(note: str) -> list[str]:
    return [
        "",
        note.replace("\n5\n", "\n6\n"),
        note.replace("\n5\n", "\n05\n"),
        note.replace("\n5\n", "\n-5\n"),
        note.replace("contoh", "contah", 1),
        note.replace("\n\n", "\nmore\n\n"),
        note.rstrip("\n"),
        note.partition("\n\n")[0] + "\n\n",
        note[:-8] + "AAAA" + note[-4:],
        note + note.rpartition("\n\n")[2] * 70,
    ]


@pytest.mark.parametrize("which", range(10))
def test_an_altered_note_is_refused(which: int) -> None:
    key = make_log_key()
    note = sign_checkpoint(STATE, key)
    assert open_checkpoint(note, key.verifier) == STATE
    with pytest.raises(NoteInvalid):
        open_checkpoint(altered_notes(note)[which], key.verifier)


def test_another_key_of_the_same_name_does_not_do() -> None:
    note = sign_checkpoint(STATE, make_log_key())
    with pytest.raises(NoteInvalid):
        open_checkpoint(note, make_log_key().verifier)
