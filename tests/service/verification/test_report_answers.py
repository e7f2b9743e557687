"""The detailed report by value: everything that was found, and nothing beside it."""

import base64
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from pki import NOW

from service.verification.answers import verification_answer
from service.verification.reports import detailed_answer, etsi_report
from service.verification.verify import Origin, SignatureFacts, SignatureFound, Verdict, Verification

UNEXAMINED = Verification(Verdict.UNDECIDED, ("unreadable",), NOW, sha256="ab" * 32)
FOUND = SignatureFound(
    field_name="TandaTangan",
    ours=True,
    indication="INDETERMINATE",
    sub_indication="TRY_LATER",
    reasons=("try_later",),
    level="B-T",
    signer="Kepala Dinas Contoh",
    signed_at=NOW.isoformat(),
    timestamped_at=None,
    details=None,
)
DETAILS: dict[str, Any] = {
    "process": "with_time",
    "judged_at": "2026-11-23T03:00:00Z",
    "digest_algorithm": "sha256",
    "signature_algorithm": "rsassa_pss",
    "checks": [{"name": "integrity", "passed": True, "found": "sha256"}],
    "certificates": [],
    "time_stamps": [],
}


def test_a_detailed_answer_is_the_contracts_and_everything_that_it_rests_on() -> None:
    signature = SignatureFacts("TOTAL-FAILED", "HASH_FAILURE", "B-LT", "A", "B", "definitive", None)
    policy = {"name": "uji", "version": 3, "text": "{}", "sha256": "cd" * 32}
    found = replace(
        UNEXAMINED,
        signature=signature,
        log={"index": 0, "included": False},
        signatures=(replace(FOUND, details=DETAILS | {"signature_value": "AAAA"}), FOUND),
        origin=Origin("revision", 1, "ef" * 32, 7),
        policy=policy,
    )
    told = {
        "field": "TandaTangan",
        "ours": True,
        "indication": "INDETERMINATE",
        "sub_indication": "TRY_LATER",
        "reasons": ["try_later"],
        "level": "B-T",
        "signer": "Kepala Dinas Contoh",
        "signed_at": "2026-11-23T03:00:00Z",
        "timestamped_at": None,
    }
    nothing = {**dict.fromkeys(DETAILS), "checks": [], "certificates": [], "time_stamps": []}
    assert detailed_answer(found).model_dump(mode="json") == {
        **verification_answer(found).model_dump(mode="json"),
        "sha256": "ab" * 32,
        "policy": policy,
        "checks": [
            {"name": "register", "passed": True, "found": None},
            {"name": "signature", "passed": False, "found": "B-LT"},
            {"name": "log", "passed": False, "found": "0"},
        ],
        "signatures": [{**told, **DETAILS}, {**told, **nothing}],
        "origin": {"found_by": "revision", "version": 1, "sha256": "ef" * 32, "size": 7},
    }


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ({}, (False, None, None)),
        ({"index": None, "included": False}, (True, False, None)),
        ({"index": 7, "included": True}, (True, True, "7")),
    ],
    ids=["not registered", "not in the log", "in the log"],
)
def test_a_documents_place_in_the_log_is_judged_when_it_is_registered(
    log: dict[str, Any], found: tuple[bool, bool | None, str | None]
) -> None:
    register, signature, in_log = detailed_answer(replace(UNEXAMINED, log=log)).checks
    assert (register.passed, in_log.passed, in_log.found) == found
    assert (signature.passed, signature.found) == (None, None)


@pytest.mark.parametrize(
    ("indication", "passed"), [("TOTAL-PASSED", True), ("INDETERMINATE", False), ("TOTAL-FAILED", False)]
)
def test_a_signature_passes_when_nothing_is_left_to_doubt(indication: str, passed: bool) -> None:
    signature = SignatureFacts(indication, None, "B-T", "A", "B", "definitive", None)
    _, check, _ = detailed_answer(replace(UNEXAMINED, signature=signature)).checks
    assert (check.name, check.passed, check.found) == ("signature", passed, "B-T")


def test_an_etsi_report_is_the_examinations_or_says_that_there_was_none() -> None:
    assert etsi_report(replace(UNEXAMINED, etsi="<ValidationReport/>")) == "<ValidationReport/>"
    root = ElementTree.fromstring(etsi_report(UNEXAMINED))
    said = {element.tag.rpartition("}")[2]: element.text for element in root.iter()}
    assert said["MainIndication"] == "urn:etsi:019102:mainindication:indeterminate"
    assert said["SubIndication"] == "urn:etsi:019102:subindication:GENERIC"
    assert said["DigestValue"] == base64.b64encode(bytes.fromhex(UNEXAMINED.sha256)).decode()
    assert said["ValidationTime"] == "2026-11-23T03:00:00Z"
