"""What is wrong is never signed: each rule of the lint, broken once. pkilint finds no fault in the rest."""

import shutil
import subprocess
from datetime import timedelta
from functools import cache

import pytest
from conformance.pkilinters import faults_of_certificate, faults_of_crl
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID
from pki import NOW, throwaway_pki
from postgres import require

from keys import profiles
from keys.algorithms import ALGORITHMS, P256, P384, generate_key, sign_with
from keys.authority import Draft, Subject, create_root, issue_certificate, sign_draft
from keys.der import (
    explicit,
    extensions,
    generalized_time,
    integer,
    octet_string,
    sequence,
    time,
)
from keys.errors import ProfileViolation
from keys.lint_revocation import lint_crl, lint_ocsp_response
from keys.profiles import PROFILES, Addresses, extensions_of
from keys.revocation import Revocation, build_crl
from keys.store import OpenKey

PKI = throwaway_pki()
ISSUING, KEY = PKI.issuing.certificate, generate_key().public_key()
ADDRESSES = Addresses("http://izin.invalid/a.crl", "http://izin.invalid/a.cer", "http://izin.invalid/ocsp")
NAME = Subject("Siapa").as_name().public_bytes()
DAY = timedelta(days=1)


@cache
def hierarchy(algorithm):
    """Give one key of every profile that allows the algorithm, all keys of that kind.

    Two private keys take turns, because RSA keys take seconds to find.
    """
    begins = NOW - DAY
    first, second = generate_key(algorithm), generate_key(algorithm)
    made = {"root": create_root(Subject("Akar"), first, now=begins)}
    for profile in PROFILES.values():
        if profile.issued_by and algorithm in profile.algorithms:
            key, issuer = second if profile.issued_by == "root" else first, made[profile.issued_by]
            certificate = issue_certificate(
                profile, Subject(profile.name), key.public_key(), issuer, now=begins, addresses=ADDRESSES
            )
            chain = (issuer.certificate, *issuer.chain)
            made[profile.name] = OpenKey(profile.name, certificate, chain, sign_with(key))
    return made


def lists(made):
    revoked = [Revocation(2**100, NOW, x509.ReasonFlags.key_compromise), Revocation(2**100 + 1, NOW)]
    return [
        build_crl(made[name], revocations, number=7, this_update=NOW, next_update=NOW + DAY)
        for name, revocations in (("root", []), ("issuing", revoked))
    ]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_pkilint_finds_no_fault_in_what_is_issued(algorithm):
    made = hierarchy(algorithm)

    faults = {
        name: faults_of_certificate(key.certificate.public_bytes(Encoding.DER)) for name, key in made.items()
    }
    faults["lists"] = [fault for der in lists(made) for fault in faults_of_crl(der)]

    assert faults == {name: [] for name in (*made, "lists")}
    for key in made.values():
        key.certificate.verify_directly_issued_by(key.chain[0] if key.chain else key.certificate)


# OpenSSL reads ML-DSA from 3.5 on, later than the systems that the service runs on.
@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if not ALGORITHMS[name].is_experimental])
def test_openssl_accepts_every_chain_and_list(tmp_path, algorithm):
    require(shutil.which("openssl"), "openssl is not installed")
    made = hierarchy(algorithm)
    for name, key in made.items():
        (tmp_path / name).write_bytes(key.certificate.public_bytes(Encoding.PEM))
    for name, der in zip(("root", "issuing"), lists(made), strict=True):
        pem = x509.load_der_x509_crl(der).public_bytes(Encoding.PEM)
        (tmp_path / f"{name}.crl").write_bytes(pem)

    def openssl(*arguments):
        run = subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, text=True)
        return run.stdout + run.stderr

    lists_given = ["-crl_check_all", "-CRLfile", "root.crl", "-CRLfile", "issuing.crl"]
    trust = ["-CAfile", "root", "-untrusted", "issuing", "-x509_strict", *lists_given]
    leaves = [name for name in made if name != "root"]
    told = openssl("verify", *trust, "-attime", str(int(NOW.timestamp())), *leaves)
    assert told.splitlines() == [f"{name}: OK" for name in leaves]
    for name in ("root", "issuing"):
        assert "verify OK" in openssl("crl", "-in", f"{name}.crl", "-CAfile", name, "-noout")


# Certificates -------------------------------------------------------------------------------------


def draft(profile=profiles.OFFICIAL, issuer=ISSUING, public_key=KEY, **changes):
    """Compose a certificate by hand, right but for the changes."""
    issuer_key = issuer.public_key() if issuer else public_key
    listed = extensions_of(profile, public_key, issuer_key, ADDRESSES)
    parts = {
        "version": explicit(0, integer(2)),
        "serial": integer(1 << 128),
        "algorithm": P256.identifier,
        "issuer_name": issuer.subject.public_bytes() if issuer else NAME,
        "validity": sequence(time(NOW), time(NOW + DAY)),
        "subject": NAME,
        "key": public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "extensions": listed,
    } | changes
    parts["extensions"] = explicit(3, extensions(parts["extensions"]))
    return Draft(profile, sequence(*parts.values()), public_key, issuer, ADDRESSES)


def listed(profile=profiles.OFFICIAL, public_key=KEY, issuer_key=ISSUING.public_key(), addresses=ADDRESSES):
    return extensions_of(profile, public_key, issuer_key, addresses)


def without(kind, profile=profiles.OFFICIAL):
    return [each for each in listed(profile) if not isinstance(each[0], kind)]


def changed(extension, critical, profile=profiles.OFFICIAL):
    return [
        (extension, critical) if isinstance(each[0], type(extension)) else each for each in listed(profile)
    ]


def constraints(is_authority):
    return x509.BasicConstraints(is_authority, None)


USAGE = next(value for value, _ in listed() if isinstance(value, x509.KeyUsage))
STAMPING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
POLICIES = x509.CertificatePolicies([x509.PolicyInformation(profiles.TIMESTAMP_POLICY, None)])
LATE = ISSUING.not_valid_after_utc + DAY
WRONG_TIME_TYPE = sequence(generalized_time(NOW), time(NOW + DAY))

BROKEN = {
    "certificate.encoding": lambda: draft(subject=b"\x30\x03\x02\x01\x00"),
    "certificate.version": lambda: draft(version=b""),
    "certificate.serial_range": lambda: draft(serial=integer(1 << 160)),
    "certificate.serial_entropy": lambda: draft(serial=integer(1 << 62)),
    "certificate.algorithm_twice": lambda: draft(algorithm=P384.identifier),
    "certificate.time_type": lambda: draft(validity=WRONG_TIME_TYPE),
    "certificate.validity_order": lambda: draft(validity=sequence(time(NOW), time(NOW - DAY))),
    "certificate.validity_in_issuer": lambda: draft(validity=sequence(time(NOW), time(LATE))),
    "certificate.issuer_name": lambda: draft(issuer_name=NAME),
    "certificate.subject_name": lambda: draft(subject=sequence()),
    "certificate.basic_constraints": lambda: draft(extensions=without(x509.BasicConstraints)),
    "certificate.key_usage": lambda: draft(extensions=changed(USAGE, False)),
    "certificate.authority_usage": lambda: draft(extensions=changed(constraints(True), True)),
    "certificate.unknown_critical": lambda: draft(extensions=changed(POLICIES, True)),
    "certificate.tsa_purpose": lambda: draft(profiles.TSA, extensions=changed(STAMPING, False, profiles.TSA)),
    "certificate.ocsp_no_check": lambda: draft(
        profiles.OCSP_RESPONDER, extensions=without(x509.OCSPNoCheck, profiles.OCSP_RESPONDER)
    ),
    "issuer.authority": lambda: draft(issuer=PKI.seal.certificate),
    "issuer.path_length": lambda: draft(profiles.ISSUING_CA),
    "certificate.subject_key_identifier": lambda: draft(extensions=without(x509.SubjectKeyIdentifier)),
    "certificate.authority_key_identifier": lambda: draft(
        extensions=listed(issuer_key=PKI.root.certificate.public_key())
    ),
    "profile.algorithm": lambda: draft(public_key=generate_key("ed25519").public_key()),
    "profile.validity": lambda: draft(
        validity=sequence(time(NOW), time(NOW + profiles.OFFICIAL.validity + timedelta(seconds=1)))
    ),
    "profile.issuer": lambda: draft(subject=ISSUING.subject.public_bytes()),
    "profile.extensions": lambda: draft(extensions=changed(POLICIES, False)),
}


def test_what_was_composed_by_hand_is_right_but_for_the_changes():
    sign_draft(draft(), PKI.issuing.sign)


@pytest.mark.parametrize("rule", BROKEN)
def test_a_certificate_that_breaks_a_rule_is_not_signed(rule):
    signed = []

    with pytest.raises(ProfileViolation) as caught:
        sign_draft(BROKEN[rule](), signed.append)

    assert caught.value.rule == rule
    assert caught.value.clause in str(caught.value)
    assert signed == []


def test_a_certificate_is_signed_with_its_issuers_algorithm():
    with pytest.raises(ProfileViolation) as caught:
        lint_crl(crl(algorithm=P384.identifier), P384.identifier, ISSUING)

    assert caught.value.rule == "crl.algorithm_of_issuer"


def test_every_address_is_the_issuers():
    """A draft for another issuer's addresses is no certificate of this one."""
    elsewhere = Addresses("http://lain.invalid/a.crl", ADDRESSES.ca_issuers, ADDRESSES.ocsp)

    with pytest.raises(ProfileViolation, match=r"profile\.extensions"):
        sign_draft(draft(extensions=listed(addresses=elsewhere)), PKI.issuing.sign)


# Revocation lists ---------------------------------------------------------------------------------


def crl(**changes):
    """Compose a revocation list of the issuing CA by hand, right but for the changes."""
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ISSUING.public_key())
    parts = {
        "version": integer(1),
        "algorithm": P256.identifier,
        "issuer_name": ISSUING.subject.public_bytes(),
        "this_update": time(NOW),
        "next_update": time(NOW + DAY),
        "entries": sequence(entry()),
        "extensions": [(identifier, False), (x509.CRLNumber(1), False)],
    } | changes
    parts["extensions"] = explicit(0, extensions(parts["extensions"]))
    return sequence(*parts.values())


def entry(serial=1 << 128, reason=x509.ReasonFlags.key_compromise):
    return sequence(integer(serial), time(NOW), extensions([(x509.CRLReason(reason), False)]))


def numbered(number, issuer=ISSUING, critical=False):
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())
    return [(identifier, False), (x509.CRLNumber(number), critical)]


BROKEN_LISTS = {
    "crl.encoding": lambda: crl(entries=b"\x30\x03\x02\x01\x00"),
    "crl.version": lambda: crl(version=b""),
    "crl.issuer_name": lambda: crl(issuer_name=NAME),
    "crl.next_update": lambda: crl(next_update=time(NOW)),
    "crl.time_type": lambda: crl(this_update=generalized_time(NOW)),
    "crl.extensions": lambda: crl(extensions=numbered(1, critical=True)),
    "crl.authority_key_identifier": lambda: crl(extensions=numbered(1, PKI.root.certificate)),
    "crl.number": lambda: crl(extensions=numbered(0)),
    "crl.entry_twice": lambda: crl(entries=sequence(entry(), entry())),
    "crl.entry_extensions": lambda: crl(entries=sequence(entry(reason=x509.ReasonFlags.unspecified))),
}


def test_a_list_composed_by_hand_is_right_but_for_the_changes():
    lint_crl(crl(), P256.identifier, ISSUING)


@pytest.mark.parametrize("rule", BROKEN_LISTS)
def test_a_list_that_breaks_a_rule_is_not_signed(rule):
    with pytest.raises(ProfileViolation) as caught:
        lint_crl(BROKEN_LISTS[rule](), P256.identifier, ISSUING)

    assert caught.value.rule == rule


def test_who_may_not_sign_lists_signs_none():
    with pytest.raises(ProfileViolation, match=r"crl\.issuer_usage"):
        build_crl(PKI.official, [], number=1, this_update=NOW, next_update=NOW + DAY)


# OCSP answers -------------------------------------------------------------------------------------

RESPONDER = hierarchy("p256")["ocsp"].certificate
AUTHORITY = hierarchy("p256")["issuing"].certificate
CERT_ID = sequence(
    sequence(b"\x06\x05\x2b\x0e\x03\x02\x1a", b"\x05\x00"),
    octet_string(bytes(20)),
    octet_string(bytes(20)),
    integer(1 << 128),
)
GOOD = b"\x80\x00"


def single(status=GOOD, this_update=NOW, next_update=NOW + DAY):
    return sequence(
        CERT_ID, status, generalized_time(this_update), explicit(0, generalized_time(next_update))
    )


def revoked(moment, *reason):
    return explicit(1, generalized_time(moment), *reason)


def answer(answers=None, name=None, produced_at=NOW, listed=()):
    identifier = RESPONDER.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    return sequence(
        explicit(2, octet_string(name or identifier)),
        generalized_time(produced_at),
        sequence(*([single()] if answers is None else answers)),
        *([explicit(1, extensions(listed))] if listed else []),
    )


UNSPECIFIED = explicit(0, b"\x0a\x01\x00")
BROKEN_ANSWERS = {
    "ocsp.encoding": lambda: answer([sequence()]),
    "ocsp.responder_valid": lambda: answer(produced_at=RESPONDER.not_valid_after_utc + DAY),
    "ocsp.responder_id": lambda: answer(name=bytes(20)),
    "ocsp.answers": lambda: answer([]),
    "ocsp.times": lambda: answer([single(next_update=NOW)]),
    "ocsp.revocation_time": lambda: answer([single(revoked(NOW + DAY))]),
    "ocsp.reason": lambda: answer([single(revoked(NOW, UNSPECIFIED))]),
    "ocsp.extensions": lambda: answer(listed=[(x509.OCSPNonce(bytes(129)), False)]),
}


def test_an_answer_composed_by_hand_is_right_but_for_the_changes():
    nonce = [(x509.OCSPNonce(bytes(32)), False)]
    lint_ocsp_response(answer(listed=nonce), P256.identifier, RESPONDER, AUTHORITY)


@pytest.mark.parametrize("rule", BROKEN_ANSWERS)
def test_an_answer_that_breaks_a_rule_is_not_signed(rule):
    with pytest.raises(ProfileViolation) as caught:
        lint_ocsp_response(BROKEN_ANSWERS[rule](), P256.identifier, RESPONDER, AUTHORITY)

    assert caught.value.rule == rule


@pytest.mark.parametrize(
    ("rule", "identifier", "responder", "issuer"),
    [
        ("ocsp.algorithm", P384.identifier, RESPONDER, AUTHORITY),
        ("ocsp.delegated", P256.identifier, PKI.tsa.certificate, PKI.issuing.certificate),
        ("ocsp.issuer", P256.identifier, RESPONDER, PKI.root.certificate),
    ],
)
def test_only_the_issuers_responder_signs_answers(rule, identifier, responder, issuer):
    with pytest.raises(ProfileViolation) as caught:
        lint_ocsp_response(answer(), identifier, responder, issuer)

    assert caught.value.rule == rule
