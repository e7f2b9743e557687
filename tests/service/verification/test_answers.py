"""What is found, as the API writes it: every member of the contract, and nothing beside it."""

from datetime import UTC, date, datetime

import pytest
from pydantic import ValidationError

from service.permits.register import PublicPermit
from service.verification.answers import PaperOrder, receipt_answer, verification_answer
from service.verification.compare import PaperSays
from service.verification.verify import SignatureFacts, Verdict, Verification

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
PERMIT = PublicPermit(
    code="0123456789ABCDEFGHJKMNPQRS",
    number="500.16.7.2/0001/SIP-TK/XI/2026",
    kind="permit",
    type="Surat Izin Praktik Tenaga Kesehatan",
    holder="S*** C*****",
    issued_on=date(2026, 11, 23),
    valid_from=date(2026, 11, 24),
    valid_until=None,
    status="suspended",
    status_since=NOW,
    reason="Sanksi administratif",
    superseded_by="500.16.7.2/0002/SIP-TK/XI/2026",
    signer="Dra. Contoh Pejabat, M.Si.",
    position="Kepala Dinas",
    mandate="definitive",
    mandate_basis="SK Wali Kota Contoh Nomor 1 Tahun 2020",
    facts=(("Profesi", "Bidan"),),
    fact_keys=("profession",),
    url="https://izin.contoh.invalid/v/0123456789ABCDEFGHJKMNPQRS",
)
SIGNATURE = SignatureFacts(
    "INDETERMINATE", "TRY_LATER", "B-T", PERMIT.signer, PERMIT.position, PERMIT.mandate, NOW.isoformat()
)


def test_an_answer_has_the_public_fields_and_neither_code_nor_decree() -> None:
    found = Verification(
        Verdict.UNDECIDED,
        ("signature_not_passed", "try_later"),
        NOW,
        permit=PERMIT,
        signature=SIGNATURE,
        log={"index": 7, "included": True},
        sha256="0" * 64,
    )
    assert verification_answer(found).model_dump(mode="json") == {
        "verdict": "undecided",
        "reasons": ["signature_not_passed", "try_later"],
        "permit": {
            "number": "500.16.7.2/0001/SIP-TK/XI/2026",
            "kind": "permit",
            "type": "Surat Izin Praktik Tenaga Kesehatan",
            "holder": "S*** C*****",
            "issued_on": "2026-11-23",
            "valid_from": "2026-11-24",
            "valid_until": None,
            "status": "suspended",
            "status_since": "2026-11-23T03:00:00Z",
            "reason": "Sanksi administratif",
            "superseded_by": "500.16.7.2/0002/SIP-TK/XI/2026",
            "signer": "Dra. Contoh Pejabat, M.Si.",
            "position": "Kepala Dinas",
            "mandate": "definitive",
            "facts": {"Profesi": "Bidan"},
            "url": "https://izin.contoh.invalid/v/0123456789ABCDEFGHJKMNPQRS",
        },
        "signature": {
            "indication": "INDETERMINATE",
            "sub_indication": "TRY_LATER",
            "level": "B-T",
            "signer": "Dra. Contoh Pejabat, M.Si.",
            "position": "Kepala Dinas",
            "mandate": "definitive",
            "signed_at": "2026-11-23T03:00:00Z",
        },
        "log": {"index": 7, "included": True},
        "checked_at": "2026-11-23T03:00:00Z",
    }


def test_what_is_not_known_is_null_and_a_receipt_is_told_with_what_it_states() -> None:
    nothing = {"permit": None, "signature": None, "log": None, "checked_at": "2026-11-23T03:00:00Z"}
    unknown = Verification(Verdict.UNKNOWN, ("not_issued_here",), NOW)
    assert verification_answer(unknown).model_dump(mode="json") == nothing | {
        "verdict": "unknown",
        "reasons": ["not_issued_here"],
    }
    receipt = Verification(Verdict.RECEIPT, ("sealed_here", "signature_passed"), NOW)
    assert receipt_answer(receipt, {"v": 1}).model_dump(mode="json") == nothing | {
        "verdict": "receipt",
        "reasons": ["sealed_here", "signature_passed"],
        "receipt": {"v": 1},
    }


def test_what_a_paper_says_is_taken_as_typed_and_no_more_than_a_paper_can_say() -> None:
    order = PaperOrder.model_validate(
        {"holder": " Siti Contoh ", "valid_until": "2031-11-22", "facts": {"practice_name": "Puskesmas"}}
    )
    assert order.as_said() == PaperSays("Siti Contoh", date(2031, 11, 22), {"practice_name": "Puskesmas"})
    assert PaperOrder().as_said() == PaperSays()
    for refused in (
        {"holder": " "},
        {"holder": "x" * 301},
        {"nik": "3375014708900000"},
        {"facts": {f"fact_{number}": "x" for number in range(21)}},
    ):
        with pytest.raises(ValidationError):
            PaperOrder.model_validate(refused)
