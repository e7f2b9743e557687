"""Coverage-guided fuzzing of what strangers' bytes reach first: `fuzz.py TARGET CORPUS [libFuzzer options]`.

A target takes any bytes and may raise what it documents. Whatever else it raises is a finding: libFuzzer
prints it, keeps the input as `crash-…` and ends with status 77.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import atheris  # noqa: E402

GUIDED_BY = {
    "document": ["pyhanko", "signing"],
    "form": ["service.catalogue"],
    "log": ["service.transparency"],
    "token": ["keys"],
}
"""The packages whose branches tell libFuzzer, by target, that an input is new."""

with atheris.instrument_imports(include=GUIDED_BY[sys.argv[1]]):
    from contextlib import suppress
    from datetime import UTC, date, datetime

    from keys import cose, store
    from keys.errors import PurposeRefused
    from keys.purposes import Asked, require_purpose
    from service.catalogue import forms
    from service.catalogue.load import read_catalogue
    from service.errors import FieldProblem
    from service.transparency.notes import (
        ED25519,
        KeyMalformed,
        NoteInvalid,
        Verifier,
        open_checkpoint,
        parse_vkey,
    )
    from service.transparency.tiles import parse_tile_path, unpack_entries
    from signing.errors import UnreadableDocument
    from signing.provenance import find_clues
    from signing.validate import Indication, validate_document

from pki import throwaway_pki  # noqa: E402

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
TYPES = tuple(read_catalogue().permit_types)
SEAL = throwaway_pki().seal.certificate
VERIFIER = Verifier("contoh.invalid/log", ED25519, bytes(32))


def document(data: bytes) -> None:
    """The wrapper of the PDF parser: no trust anchor, so nothing may ever pass."""
    find_clues(data)
    with suppress(UnreadableDocument):
        report = validate_document(data, [], at=NOW)
        assert report.indication is not Indication.TOTAL_PASSED


def form(data: bytes) -> None:
    """Answers of every kind to the fields of a permit type, all chosen by the bytes."""
    chosen = atheris.FuzzedDataProvider(data)
    permit_type = TYPES[chosen.ConsumeIntInRange(0, len(TYPES) - 1)]
    request = permit_type.requests[chosen.ConsumeIntInRange(0, len(permit_type.requests) - 1)]
    applicant_kind = ("person", "organisation", "neither")[chosen.ConsumeIntInRange(0, 2)]
    fields = forms.asked_fields(permit_type, request, applicant_kind)
    values = {key: _any_value(chosen, 3) for key in fields if chosen.ConsumeBool()}
    problems = forms.validate_values(
        permit_type, values, request=request, applicant_kind=applicant_kind, today=date(2026, 11, 23)
    )
    assert all(isinstance(problem, FieldProblem) for problem in problems)


def _any_value(chosen: atheris.FuzzedDataProvider, depth: int) -> object:
    """Take a JSON value, no deeper than `depth`."""
    kind = chosen.ConsumeIntInRange(0, 7 if depth else 5)
    match kind:
        case 0:
            return None
        case 1:
            return chosen.ConsumeBool()
        case 2:
            return chosen.ConsumeInt(9)
        case 3:
            return chosen.ConsumeFloat()
        case 4:
            return chosen.ConsumeUnicodeNoSurrogates(40)
        case 5:
            return "".join(
                chr(chosen.ConsumeIntInRange(32, 126)) for _ in range(chosen.ConsumeIntInRange(0, 20))
            )
        case 6:
            return [_any_value(chosen, depth - 1) for _ in range(chosen.ConsumeIntInRange(0, 4))]
    return {"key": _any_value(chosen, depth - 1), "latitude": _any_value(chosen, depth - 1)}


def log(data: bytes) -> None:
    """What a witness and an auditor read of a log they do not trust."""
    text = data.decode("utf-8", "replace")
    with suppress(NoteInvalid):
        open_checkpoint(text, VERIFIER)
    with suppress(KeyMalformed):
        parse_vkey(text)
    parse_tile_path(text)
    with suppress(ValueError):
        unpack_entries(data)


def token(data: bytes) -> None:
    """What the seal's key is asked to sign for a QR code: the signer reads it before it signs."""
    asked = Asked(cose.SIGNED_BEGINS + data, b"", SEAL, "contoh.invalid/log", NOW)
    with suppress(PurposeRefused):
        require_purpose(store.SEAL, "offline_token", asked)


TARGETS = {target.__name__: target for target in (document, form, log, token)}


if __name__ == "__main__":
    target = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target)
    atheris.Fuzz()
