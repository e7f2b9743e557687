"""A document for each sub-indication of EN 319 102-1 that can be produced, judged by its level's process."""

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from pki import NOW, issue, make_pki, throwaway_pki
from signed_pages import (
    DAY,
    HOUR,
    archive_page,
    digest_around_container,
    extend_page,
    lists,
    one_page,
    replace_container,
    sign_page,
    turn_page,
)

from keys import profiles
from keys.algorithms import generate_key, sign_with
from keys.authority import Subject, create_root
from keys.cms import DATA, SIGNATURE_TIME_STAMP_TOKEN, attribute, sign_content
from keys.revocation import Revocation, build_crl
from keys.store import OpenKey
from keys.timestamp import local_timestamper
from signing.details import STEPS
from signing.policy import current_policy
from signing.sign import FIELD_NAME, sign_document
from signing.validate import Indication, SignatureReport, ValidationReport, validate_document

PKI = throwaway_pki()
FOREIGN = make_pki()
LATER = NOW + 2 * HOUR
ENDED = PKI.official.certificate.not_valid_after_utc + DAY
BASIC, TIMED = sign_page(PKI.official), sign_page(PKI.official, PKI.tsa)
LT = extend_page(TIMED)
LTA = archive_page(LT, PKI.tsa)
DOCUMENTS = {"B-B": BASIC, "B-T": TIMED, "B-LT": LT, "B-LTA": LTA}


def flipped(pdf):
    return pdf.replace(b"SURAT IZIN", b"SURAT 1ZIN")


def signed_by_another(pdf, key, *certificates, stamped_by=()):
    """Put another container into the room of a signature, over the same bytes."""

    def stamps(value):
        digest = hashlib.sha256(value).digest()
        tokens = [local_timestamper(tsa, lambda: NOW).stamp(digest) for tsa in stamped_by]
        return [attribute(SIGNATURE_TIME_STAMP_TOKEN, token) for token in tokens]

    digest = digest_around_container(pdf)
    container = sign_content(key, DATA, digest, certificates=certificates, unsigned_attributes=stamps)
    return replace_container(pdf, container)


def with_a_substituted_certificate():
    """The container names a certificate by its hash, and carries another of the same number and issuer."""
    root_key, key = generate_key(), generate_key()
    root = create_root(Subject("Luar Root CA (UJI)"), root_key, now=NOW - DAY)
    builder = (
        x509.CertificateBuilder()
        .issuer_name(root.certificate.subject)
        .serial_number(5)
        .public_key(key.public_key())
        .not_valid_before(NOW - DAY)
    )
    named, carried = (
        builder.subject_name(x509.Name([])).not_valid_after(NOW + days * DAY).sign(root_key, SHA256())
        for days in (1, 2)
    )
    return signed_by_another(BASIC, OpenKey("luar", named, (), sign_with(key)), carried)


def revoked(key, moment):
    return Revocation(key.certificate.serial_number, moment)


def without(curve=None, until=None):
    rules = [
        replace(rule, until=until) if rule.curve == curve else rule for rule in current_policy().signatures
    ]
    kept = rules if until else [rule for rule in rules if rule.curve != curve]
    return replace(current_policy(), signatures=tuple(kept))


def future():
    """The signer's certificate begins a week after the time stamp says it was used."""
    signer = issue(profiles.OFFICIAL, "Kepala Dinas Contoh", PKI.issuing, NOW + 7 * DAY)
    stamper = local_timestamper(PKI.tsa, lambda: NOW)
    return sign_document(one_page(), signer, signed_at=NOW + 8 * DAY, timestamper=stamper)


def root_list(revocation):
    return [lists(LATER)[0], build_crl(PKI.root, [revocation], number=1, this_update=NOW, next_update=ENDED)]


PASSED = [
    (f"{level} passes", level, pdf, None, None, {} if level == "B-LTA" else {"crls": lists(LATER)})
    for level, pdf in DOCUMENTS.items()
]
TABLE = [
    ("altered", "B-B", flipped(BASIC), "HASH_FAILURE", "integrity", {}),
    ("altered", "B-T", flipped(TIMED), "HASH_FAILURE", "integrity", {}),
    ("altered", "B-LTA", flipped(LTA), "HASH_FAILURE", "archive_time_stamps", {}),
    ("appended to", "B-T", TIMED + b"\n", "FORMAT_FAILURE", "coverage", {}),
    ("updated", "B-LT", turn_page(LT), "FORMAT_FAILURE", "modifications", {}),
    (
        "another key's",
        "B-B",
        sign_page(replace(PKI.official, sign=FOREIGN.official.sign)),
        "SIG_CRYPTO_FAILURE",
        "signature_value",
        {},
    ),
    (
        "a stranger's",
        "B-B",
        sign_page(FOREIGN.official),
        "NO_CERTIFICATE_CHAIN_FOUND",
        "certificate_chain",
        {},
    ),
    (
        "a stranger's time stamp",
        "B-T",
        sign_page(PKI.official, FOREIGN.tsa),
        "NO_CERTIFICATE_CHAIN_FOUND",
        "time_stamp",
        {},
    ),
    (
        "altered, and a stranger's time stamp",
        "B-T",
        flipped(sign_page(PKI.official, FOREIGN.tsa)),
        "HASH_FAILURE",
        "integrity",
        {},
    ),
    (
        "revoked, and a stranger's time stamp",
        "B-T",
        sign_page(PKI.official, FOREIGN.tsa),
        "NO_CERTIFICATE_CHAIN_FOUND",
        "revocation",
        {"crls": lists(LATER, revoked(PKI.official, NOW + HOUR))},
    ),
    (
        "a stranger's archive time stamp",
        "B-LTA",
        archive_page(LT, FOREIGN.tsa),
        "NO_CERTIFICATE_CHAIN_FOUND",
        "archive_time_stamps",
        {},
    ),
    (
        "lists of a stranger",
        "B-T",
        TIMED,
        "CERTIFICATE_CHAIN_GENERAL_FAILURE",
        "certificate_chain",
        {"crls": lists(LATER, pki=FOREIGN)},
    ),
    (
        "an authority's key",
        "B-B",
        signed_by_another(BASIC, PKI.tsa, PKI.tsa.certificate, PKI.issuing.certificate),
        "CHAIN_CONSTRAINTS_FAILURE",
        "certificate_usage",
        {},
    ),
    (
        "an algorithm never accepted",
        "B-T",
        TIMED,
        "CRYPTO_CONSTRAINTS_FAILURE",
        "algorithms",
        {"policy": without("secp256r1")},
    ),
    (
        "an algorithm that ended",
        "B-B",
        BASIC,
        "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
        "algorithms",
        {"policy": without("secp256r1", NOW.date() - DAY)},
    ),
    (
        "an archive whose algorithm ended",
        "B-LTA",
        LTA,
        "CRYPTO_CONSTRAINTS_FAILURE_NO_POE",
        "archive_time_stamps",
        {"policy": without("secp256r1", NOW.date() - DAY)},
    ),
    ("before its certificate", "B-T", future(), "NOT_YET_VALID", "validity", {"at": NOW + 9 * DAY}),
    (
        "stamped too late",
        "B-T",
        sign_document(
            one_page(), PKI.official, signed_at=NOW, timestamper=local_timestamper(PKI.tsa, lambda: ENDED)
        ),
        "EXPIRED",
        "validity",
        {"at": ENDED + DAY},
    ),
    ("an ended certificate", "B-B", BASIC, "OUT_OF_BOUNDS_NO_POE", "validity", {"at": ENDED}),
    (
        "a revoked signer",
        "B-B",
        BASIC,
        "REVOKED_NO_POE",
        "revocation",
        {"crls": lists(LATER, revoked(PKI.official, NOW + HOUR))},
    ),
    (
        "a signer revoked before",
        "B-T",
        TIMED,
        "REVOKED_NO_POE",
        "revocation",
        {"crls": lists(LATER, revoked(PKI.official, NOW - HOUR))},
    ),
    (
        "a revocation known late",
        "B-LTA",
        LTA,
        "REVOKED_NO_POE",
        "revocation",
        {"crls": lists(LATER, revoked(PKI.official, NOW - HOUR))},
    ),
    (
        "a revoked authority",
        "B-T",
        TIMED,
        "REVOKED_CA_NO_POE",
        "revocation",
        {"crls": root_list(revoked(PKI.issuing, NOW - HOUR))},
    ),
    ("stale lists", "B-LT", LT, "TRY_LATER", "revocation", {"at": LATER + 2 * DAY}),
    (
        "out of order",
        "B-LTA",
        archive_page(LTA, PKI.tsa, NOW - HOUR),
        "TIMESTAMP_ORDER_FAILURE",
        "archive_time_stamps",
        {},
    ),
]
PROCESSES = {"B-B": "basic", "B-T": "with_time", "B-LT": "with_time", "B-LTA": "archived"}


@pytest.mark.parametrize(
    ("level", "pdf", "sub_indication", "failed", "options"),
    [row[1:] for row in [*PASSED, *TABLE]],
    ids=[f"{row[1]}-{row[0]}" for row in [*PASSED, *TABLE]],
)
def test_each_document_is_judged_by_its_process_and_names_the_check_that_failed(
    level, pdf, sub_indication, failed, options
):
    report = validate_document(pdf, PKI.trust_anchors, detailed=True, **{"at": LATER, **options})
    details = report.signature.details
    checks = {check.name: check.passed for check in details.checks}

    assert (report.sub_indication, report.signature.level) == (sub_indication, level)
    assert (report.indication == Indication.TOTAL_PASSED) == (failed is None)
    assert details.process == PROCESSES[level]
    assert [name for name in checks if name in STEPS] == list(STEPS)
    assert checks.get(failed) is (False if failed else None)
    assert (False in checks.values()) == (failed is not None)
    assert [check.name for check in details.checks if check.found] == [
        step for step in STEPS if step == failed
    ]


def test_without_its_own_certificate_nothing_is_told_of_a_signature():
    report = validate_document(with_a_substituted_certificate(), PKI.trust_anchors, at=LATER, detailed=True)

    name = "NO_SIGNING_CERTIFICATE_FOUND"
    missing = (Indication.INDETERMINATE, name, (name.lower(),))
    assert report == ValidationReport(*missing, (SignatureReport(FIELD_NAME, *missing),))


def test_what_a_judgement_rests_on_is_told():
    """The archived page: its chain up to the anchor, each with its revocation, and both time stamps."""
    report = validate_document(LTA, PKI.trust_anchors, at=LATER, detailed=True)
    details = report.signature.details
    official, issuing, root = details.certificates

    assert [each.sha256 for each in details.certificates] == [
        key.certificate.fingerprint(SHA256()).hex() for key in (PKI.official, PKI.issuing, PKI.root)
    ]
    assert (official.in_force, official.accepted, official.key) == (True, True, "ec secp256r1")
    assert (official.algorithm, official.is_trust_anchor) == ("ecdsa sha256", False)
    assert (root.is_trust_anchor, root.accepted, root.revocation) == (True, None, None)
    assert (official.revocation.status, official.revocation.source) == ("good", "crl")
    assert [each.revocation.signed_at for each in (official, issuing)] == [NOW - timedelta(minutes=1)] * 2
    assert [(each.kind, each.stamped_at, each.passed) for each in details.time_stamps] == [
        ("signature", NOW, True),
        ("archive", NOW + HOUR, True),
    ]
    assert [each.judged_at for each in details.time_stamps] == [NOW + HOUR, LATER]
    assert [[each.sha256 for each in stamp.certificates] for stamp in details.time_stamps] == [
        [key.certificate.fingerprint(SHA256()).hex() for key in (PKI.tsa, PKI.issuing, PKI.root)]
    ] * 2
    assert (details.digest_algorithm, details.signature_algorithm) == ("sha256", "ecdsa sha256")


def test_without_a_chain_the_signers_own_certificate_is_told():
    report = validate_document(sign_page(FOREIGN.official), PKI.trust_anchors, at=LATER, detailed=True)
    (certificate,) = report.signature.details.certificates

    assert certificate.sha256 == FOREIGN.official.certificate.fingerprint(SHA256()).hex()
    assert not certificate.is_trust_anchor


def test_one_time_stamp_that_holds_is_enough():
    certificates = [PKI.official.certificate, PKI.issuing.certificate]
    stamped_by = (FOREIGN.tsa, PKI.tsa)
    room_for_two = replace(local_timestamper(PKI.tsa, lambda: NOW), token_size=8192)
    pdf = sign_document(one_page(), PKI.official, signed_at=NOW, timestamper=room_for_two)
    pdf = signed_by_another(pdf, PKI.official, *certificates, stamped_by=stamped_by)

    report = validate_document(pdf, PKI.trust_anchors, at=LATER, detailed=True)
    details = report.signature.details

    assert (report.indication, report.signature.timestamped_at) == (Indication.TOTAL_PASSED, NOW)
    # Attributes are a set, in the order of their bytes.
    assert sorted(stamp.passed for stamp in details.time_stamps) == [False, True]
    assert False not in [check.passed for check in details.checks]


def test_a_revocation_after_the_time_stamp_is_told_with_its_day():
    moment = NOW + HOUR
    crls = lists(LATER, revoked(PKI.official, moment))
    report = validate_document(TIMED, PKI.trust_anchors, at=LATER, crls=crls, detailed=True)

    assert report.indication == Indication.TOTAL_PASSED
    found = report.signature.details.certificates[0].revocation
    assert (found.status, found.revoked_at) == ("revoked", moment)


def test_details_are_told_only_when_asked_for():
    assert validate_document(TIMED, PKI.trust_anchors, at=LATER).signature.details is None
