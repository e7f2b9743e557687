"""A seal on content that is no PDF: valid at its stamped time, and of nothing else, of no other time."""

import hashlib
from datetime import timedelta

import pytest
from pki import NOW, make_pki, throwaway_pki

from keys.cms import DATA, sign_content
from keys.revocation import Revocation, build_crl
from keys.store import OpenKey
from keys.timestamp import local_timestamper
from signing.detached import sign_detached
from signing.stamped import Fault, StampedReport, validate_stamped

PKI = throwaway_pki()
CONTENT = b"sidik  berkas\n"


def sign(key: OpenKey = PKI.seal, content: bytes = CONTENT) -> bytes:
    return sign_detached(content, key, signed_at=NOW, timestamper=None)


def stamp(signature: bytes, tsa: OpenKey = PKI.tsa) -> bytes:
    return local_timestamper(tsa, lambda: NOW).stamp(hashlib.sha256(signature).digest())


def validate(
    signature: bytes, time_stamp: bytes, content: bytes = CONTENT, crls: tuple[bytes, ...] = ()
) -> StampedReport:
    between = [PKI.issuing.certificate]
    return validate_stamped(content, signature, time_stamp, PKI.trust_anchors, between=between, crls=crls)


def test_a_seal_is_valid_at_its_stamped_time() -> None:
    signature = sign()
    report = validate(signature, stamp(signature))
    assert report == StampedReport(None, "Segel Elektronik (UJI)", NOW)


def test_a_seal_may_be_of_another_algorithm() -> None:
    pki = make_pki(algorithm="p384")
    signature = sign(pki.seal)
    between = [pki.issuing.certificate]
    report = validate_stamped(
        CONTENT, signature, stamp(signature, pki.tsa), pki.trust_anchors, between=between
    )
    assert report.fault is None


def test_it_is_of_this_content_alone() -> None:
    signature = sign()
    assert validate(signature, stamp(signature), CONTENT + b" ").fault is Fault.SIGNATURE


def test_the_stamp_is_of_this_signature_alone() -> None:
    assert validate(sign(), stamp(b"another")).fault is Fault.TIME_STAMP


def test_a_strangers_seal_or_stamp_is_not_valid() -> None:
    stranger = make_pki()
    signature = sign(stranger.seal)
    assert validate(signature, stamp(signature)).fault is Fault.SIGNATURE
    signature = sign()
    assert validate(signature, stamp(signature, stranger.tsa)).fault is Fault.TIME_STAMP


def test_a_time_stamping_authority_seals_nothing() -> None:
    chain = (PKI.tsa.certificate, *PKI.tsa.chain[:-1])
    signature = sign_content(PKI.tsa, DATA, hashlib.sha256(CONTENT).digest(), certificates=chain)
    assert validate(signature, stamp(signature)).fault is Fault.SIGNATURE


@pytest.mark.parametrize(("revoked_at", "fault"), [(-1, Fault.SIGNATURE), (1, None)])
def test_a_seal_revoked_before_is_not_valid_however_late_the_list(
    revoked_at: int, fault: Fault | None
) -> None:
    signature = sign()
    revoked = Revocation(PKI.seal.certificate.serial_number, NOW + timedelta(hours=revoked_at))
    late = NOW + timedelta(days=30)
    crl = build_crl(PKI.issuing, [revoked], number=1, this_update=late, next_update=late + timedelta(days=7))
    assert validate(signature, stamp(signature), crls=(crl,)).fault is fault


def test_no_changed_byte_changes_what_is_said() -> None:
    signature = sign()
    token = stamp(signature)
    for place in range(0, len(signature), 7):
        changed = bytes([*signature[:place], signature[place] ^ 1, *signature[place + 1 :]])
        assert validate(changed, token).fault
    for place in range(0, len(token), 7):
        changed = bytes([*token[:place], token[place] ^ 1, *token[place + 1 :]])
        report = validate(signature, changed)  # A CMS message has bytes that nothing covers.
        assert report.fault or report.stamped_at == NOW


@pytest.mark.parametrize("garbage", [b"", b"\x30\x80", b"nothing", b"\x30\x03\x02\x01\x00"])
def test_garbage_is_malformed(garbage: bytes) -> None:
    signature = sign()
    assert validate(garbage, stamp(garbage)).fault is Fault.MALFORMED
    assert validate(signature, garbage).fault is Fault.MALFORMED
