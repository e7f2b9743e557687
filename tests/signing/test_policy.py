"""Algorithms end, keys are too small and lists grow old: by the clock of the document, not of the day."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from asn1crypto import keys as asn1_keys
from asn1crypto import tsp
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pki import NOW, issue, make_pki, throwaway_pki
from pyhanko.sign.ades.report import AdESIndeterminate, AdESPassed
from signed_pages import DAY, chain, lists, sign_page

from keys import profiles
from keys.algorithms import generate_key, sign_with
from keys.authority import Subject, issue_certificate
from keys.store import OpenKey
from keys.timestamp import local_timestamper
from signing.extend import add_archive_timestamp, extend_to_lt
from signing.judgement import judge_imprint
from signing.policy import (
    current_policy,
    find_digest_rule,
    find_signature_rule,
    is_accepted,
    parse_policy,
    proves_until,
    state_policy,
)
from signing.trust import Anchors, Trust
from signing.validate import Indication, validate_document

PKI = throwaway_pki()
STRONGER = make_pki(algorithm="p384")
"""A hierarchy on P-384, trusted for time alone."""
END = NOW + 30 * DAY
"""The last day of P-256 in `P256_ENDS`."""
P256_ENDS = replace(
    current_policy(),
    signatures=tuple(
        replace(rule, until=END.date()) if rule.curve == "secp256r1" else rule
        for rule in current_policy().signatures
    ),
)
DIGESTS = current_policy().digests
VERSIONS = {1: "68099665c1f8d822b4fa19bd8dfa1c51c19e1ad56a7b3fbf6a97df29c64bc8d2"}
"""The digests of the rules by their version, without trust anchors. Add to them; change none."""
NO_POE = "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"


def signed(tsa=None, moment=NOW):
    return sign_page(PKI.official, tsa, moment)


def validate(pdf, at, policy=P256_ENDS, **options):
    anchors = [*STRONGER.trust_anchors, STRONGER.issuing.certificate]
    return validate_document(
        pdf, PKI.trust_anchors, at=at, time_anchors=anchors, policy=policy, **options
    ).signature


# The document -------------------------------------------------------------------------------------


def test_the_policy_is_read_and_accepts_what_is_signed_with_here():
    policy = current_policy()

    assert (policy.name, policy.version) == ("canting-validation", 1)
    for algorithm in ("md5", "sha1"):
        assert find_digest_rule(policy, algorithm) is None
    assert is_accepted(find_digest_rule(policy, "sha256"), NOW + 30 * 365 * DAY)


def test_the_rules_of_a_version_never_change():
    """Who filed a report finds its rules by version and digest: whatever changes them takes a new version."""
    policy = current_policy()

    assert state_policy(policy, ()).sha256 == VERSIONS[policy.version]


@pytest.mark.parametrize("missing", ["name", "digests", "revocation"])
def test_a_policy_that_lacks_a_part_is_refused(missing):
    text = "name: a\nversion: 1\ndecided_on: 2026-01-01\ndigests: []\nsignatures: []\n"
    text += "revocation: {trust_anchors_days: 1, other_issuers_days: 1}\n"
    assert parse_policy(text).decided_on == date(2026, 1, 1)

    with pytest.raises((TypeError, KeyError)):
        parse_policy("\n".join(line for line in text.splitlines() if not line.startswith(missing)))


@pytest.mark.parametrize(
    ("algorithm", "key", "accepted_in_2026", "accepted_in_2031"),
    [
        ("rsassa_pkcs1v15", lambda: rsa.generate_private_key(65537, 1024), False, False),
        ("rsassa_pss", lambda: rsa.generate_private_key(65537, 2048), True, False),
        ("rsassa_pkcs1v15", lambda: rsa.generate_private_key(65537, 2048), True, False),
        ("rsassa_pkcs1v15", lambda: rsa.generate_private_key(65537, 3072), True, True),
        ("ecdsa", lambda: ec.generate_private_key(ec.SECP256R1()), True, True),
        ("ecdsa", lambda: ec.generate_private_key(ec.BrainpoolP384R1()), True, True),
        ("ecdsa", lambda: ec.generate_private_key(ec.SECP256K1()), False, False),
        ("ecdsa", lambda: ec.generate_private_key(ec.SECP224R1()), False, False),
        ("ed25519", ed25519.Ed25519PrivateKey.generate, True, True),
        ("dsa", lambda: rsa.generate_private_key(65537, 3072), False, False),
    ],
)
def test_each_key_has_its_end(algorithm, key, accepted_in_2026, accepted_in_2031):
    der = key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    rule = find_signature_rule(current_policy(), algorithm, asn1_keys.PublicKeyInfo.load(der))

    assert is_accepted(rule, datetime(2026, 11, 23, tzinfo=UTC)) == accepted_in_2026
    assert is_accepted(rule, datetime(2031, 1, 1, tzinfo=UTC)) == accepted_in_2031


@pytest.mark.parametrize("name", sorted({*profiles.OFFICIAL.algorithms} - {"rsa4096"}))
def test_every_algorithm_that_officials_sign_with_is_accepted(name):
    """RSA-4096 takes seconds to make, and no other rule than RSA-3072."""
    signer = issue(profiles.OFFICIAL, "Kepala Dinas Contoh", PKI.issuing, NOW - DAY, name)

    assert validate(sign_page(signer), NOW, current_policy()).indication == Indication.TOTAL_PASSED


def test_the_last_day_counts_whole():
    rule = find_digest_rule(current_policy(), "sha224")

    assert is_accepted(rule, datetime(2025, 12, 31, 23, 59, tzinfo=UTC))
    assert not is_accepted(rule, datetime(2026, 1, 1, tzinfo=UTC))


def test_a_stated_policy_names_each_trust_anchor_and_its_digest_follows_it():
    stated = state_policy(current_policy(), PKI.trust_anchors, STRONGER.trust_anchors)
    document = json.loads(stated.text)

    root = PKI.root.certificate
    assert document["trust_anchors"] == [
        {"name": root.subject.rfc4514_string(), "sha256": root.fingerprint(SHA256()).hex()}
    ]
    assert {"algorithm": "sha224", "until": "2025-12-31"} in document["digests"]
    others = [
        state_policy(current_policy(), PKI.trust_anchors),
        state_policy(P256_ENDS, PKI.trust_anchors, STRONGER.trust_anchors),
        state_policy(current_policy(), STRONGER.trust_anchors, PKI.trust_anchors),
    ]
    assert len({stated.sha256, *(other.sha256 for other in others)}) == 4


@pytest.mark.parametrize(
    ("key", "until"),
    [
        (lambda: rsa.generate_private_key(65537, 2048), datetime(2031, 1, 1, tzinfo=UTC)),
        (lambda: ec.generate_private_key(ec.SECP256R1()), datetime(2036, 1, 1, tzinfo=UTC)),
    ],
    ids=["rsa2048", "p256"],
)
def test_a_proof_ends_with_the_certificate_or_its_algorithm(key, until):
    """Another house's authority of 2026, whose certificate runs for ten years."""
    private_key, name = key(), x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .serial_number(1)
        .public_key(private_key.public_key())
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .sign(private_key, SHA256())
    )

    assert proves_until(certificate) == until


# Algorithms at the proven time --------------------------------------------------------------------


@pytest.mark.parametrize(("at", "passes"), [(END, True), (END + DAY, False)], ids=["last day", "after"])
def test_without_a_time_stamp_an_algorithm_must_be_good_today(at, passes):
    report = validate(signed(), at)

    assert (report.indication == Indication.TOTAL_PASSED) == passes
    assert report.sub_indication == (None if passes else NO_POE)


def test_a_strong_time_stamp_proves_that_the_algorithm_was_still_good():
    report = validate(signed(STRONGER.tsa), END + DAY)

    assert (report.indication, report.timestamped_at) == (Indication.TOTAL_PASSED, NOW)


def test_a_time_stamp_after_the_end_proves_that_it_was_too_late():
    report = validate(signed(STRONGER.tsa, END + DAY), END + 2 * DAY)

    assert (report.indication, report.sub_indication) == (Indication.INDETERMINATE, NO_POE)


def test_a_time_stamp_whose_own_algorithm_ended_proves_nothing():
    assert validate(signed(PKI.tsa), END).indication == Indication.TOTAL_PASSED
    assert validate(signed(PKI.tsa), END + DAY).sub_indication == NO_POE


@pytest.mark.parametrize("renewed", [True, False], ids=["renewed", "forgotten"])
def test_an_archive_must_be_renewed_before_the_algorithms_end(renewed):
    certificates = chain(PKI.official, PKI.tsa, PKI.issuing, STRONGER.issuing)
    known = [*lists(NOW, pki=PKI), *lists(NOW, pki=STRONGER)]
    pdf = extend_to_lt(signed(PKI.tsa), certificates=certificates, crls=known)
    pdf = add_archive_timestamp(pdf, timestamper=local_timestamper(PKI.tsa, lambda: NOW + DAY / 2))
    if renewed:
        fresh = [*lists(END, pki=PKI), *lists(END, pki=STRONGER)]
        stamper = local_timestamper(STRONGER.tsa, lambda: END)
        pdf = add_archive_timestamp(pdf, timestamper=stamper, certificates=certificates, crls=fresh)

    at = END + 2 * DAY
    report = validate(pdf, at, crls=[*lists(at, pki=PKI), *lists(at, pki=STRONGER)])

    assert report.sub_indication == (None if renewed else NO_POE)
    assert (report.indication == Indication.TOTAL_PASSED) == renewed


def test_an_algorithm_that_was_never_accepted_is_told_apart_from_one_that_ended():
    signatures = tuple(rule for rule in current_policy().signatures if rule.curve != "secp256r1")
    policy = replace(current_policy(), signatures=signatures)

    report = validate(signed(STRONGER.tsa), NOW + DAY, policy)

    assert (report.indication, report.sub_indication) == (
        Indication.INDETERMINATE,
        "CRYPTO_CONSTRAINTS_FAILURE",
    )


@pytest.mark.parametrize(
    ("algorithm", "found"),
    [
        ("sha256", AdESPassed.OK),
        ("sha1", AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE),
        ("sha224", AdESIndeterminate.CRYPTO_CONSTRAINTS_FAILURE_NO_POE),
    ],
)
def test_the_digest_that_a_time_stamp_is_over_is_judged_too(algorithm, found):
    imprint = {"hash_algorithm": {"algorithm": algorithm}, "hashed_message": bytes(32)}
    stated = tsp.TSTInfo({"message_imprint": imprint})

    assert judge_imprint(stated, Trust(Anchors(()), current_policy()), NOW) is found


@pytest.mark.parametrize(
    ("ended", "found"), [(False, "CRYPTO_CONSTRAINTS_FAILURE"), (True, "CRYPTO_CONSTRAINTS_FAILURE_NO_POE")]
)
def test_a_time_stamp_over_a_digest_that_is_not_accepted_proves_no_time(ended, found):
    """All else is by SHA-384 here."""
    rules = [
        replace(rule, until=NOW.date() - DAY) if rule.algorithm == "sha256" else rule for rule in DIGESTS
    ]
    kept = rules if ended else [rule for rule in rules if rule.algorithm != "sha256"]
    policy = replace(current_policy(), digests=tuple(kept))
    pdf = sign_page(STRONGER.official, STRONGER.tsa)

    report = validate_document(pdf, STRONGER.trust_anchors, at=NOW + DAY, policy=policy, detailed=True)
    (stamp,) = report.signature.details.time_stamps

    assert (report.indication, report.sub_indication) == (Indication.INDETERMINATE, found)
    assert report.signature.timestamped_at is None
    assert (stamp.passed, stamp.sub_indication) == (False, found)


# How old revocation data may be -------------------------------------------------------------------


@pytest.mark.parametrize(("days", "passes"), [(190, True), (191, False)])
def test_an_issuing_authoritys_list_grows_old_whatever_it_says_itself(days, passes):
    issued = NOW + DAY
    crls = lists(issued, pki=PKI, valid=3000 * DAY)

    report = validate(
        signed(PKI.tsa), issued + days * DAY - timedelta(minutes=2), current_policy(), crls=crls
    )

    assert report.sub_indication == (None if passes else "TRY_LATER")


@pytest.mark.parametrize(("days", "passes"), [(400, True), (402, False)])
def test_a_trust_anchors_list_may_be_a_year_old(days, passes):
    at = NOW + DAY + days * DAY - timedelta(minutes=2)
    issuing, _ = lists(at, pki=PKI)
    _, root = lists(NOW + DAY, pki=PKI, valid=3000 * DAY)

    report = validate(signed(PKI.tsa), at, current_policy(), crls=[issuing, root])

    assert (report.indication == Indication.TOTAL_PASSED) == passes


def test_a_list_by_a_digest_that_is_not_accepted_tells_nothing():
    """The issuing authority signs its list over SHA-384, all else is over SHA-256."""
    private_key = generate_key()
    issuing = issue_certificate(
        profiles.ISSUING_CA, Subject("CA Kedua (UJI)"), private_key.public_key(), PKI.root, now=NOW - DAY
    )
    authority = OpenKey("issuing", issuing, (PKI.root.certificate,), sign_with(private_key))
    signer, tsa = (
        issue(profile, "Pejabat (UJI)", authority, NOW - DAY) for profile in (profiles.OFFICIAL, profiles.TSA)
    )
    pdf = sign_page(signer, tsa)
    unsigned = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuing.subject)
        .last_update(NOW)
        .next_update(NOW + 7 * DAY)
    )
    crls = [unsigned.sign(private_key, SHA384()).public_bytes(Encoding.DER)]
    digests = tuple(rule for rule in current_policy().digests if rule.algorithm != "sha384")

    accepted, refused = (
        validate(pdf, NOW + DAY, replace(current_policy(), digests=each), crls=crls)
        for each in (current_policy().digests, digests)
    )

    assert (accepted.indication, refused.sub_indication) == (Indication.TOTAL_PASSED, "TRY_LATER")
