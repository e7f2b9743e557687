"""The lint of revocation lists and OCSP answers before they are signed; see `keys/lint.py`."""

from datetime import datetime

from asn1crypto import crl as asn1_crl
from cryptography import x509
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from keys.algorithms import algorithm_of
from keys.der import explicit, object_identifier, octet_string, sequence
from keys.errors import ProfileViolation
from keys.lint import MOST_SERIAL_OCTETS, UNSIGNED, key_identifier, lint_algorithm, lint_time, require

LONGEST_NONCE = 128
"""Octets (RFC 9654 §2.1)."""
_BASIC_RESPONSE = "1.3.6.1.5.5.7.48.1.1"


# Revocation lists ---------------------------------------------------------------------------------


def lint_crl(tbs: bytes, identifier: bytes, issuer: x509.Certificate) -> None:
    """Judge the DER of a TBSCertList that the issuer is about to sign. Raises ProfileViolation."""
    try:
        crl = x509.load_der_x509_crl(sequence(tbs, identifier, UNSIGNED))
        found = list(crl.extensions)
        entries = list(crl)
        parsed = asn1_crl.TbsCertList.load(tbs, strict=True)
    except (ValueError, TypeError, x509.DuplicateExtension) as error:
        raise ProfileViolation(
            "The revocation list cannot be read.", rule="crl.encoding", clause="RFC 5280 §5.1"
        ) from error
    usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    require(
        usage.crl_sign,
        "crl.issuer_usage",
        "RFC 5280 §4.2.1.3",
        "The issuer's certificate does not allow signing revocation lists.",
    )
    require(
        parsed["version"].native == "v2",
        "crl.version",
        "RFC 5280 §5.1.2.1",
        "A revocation list with extensions must be of version 2.",
    )
    lint_algorithm("crl", parsed["signature"].dump(), identifier, issuer)
    require(
        crl.issuer.public_bytes() == issuer.subject.public_bytes(),
        "crl.issuer_name",
        "RFC 5280 §5.1.2.3",
        "The list's issuer must be the subject of its certificate, byte for byte.",
    )
    _lint_crl_times(crl, parsed)
    _lint_crl_extensions(found, issuer)
    _lint_entries(entries)


def _lint_crl_times(crl: x509.CertificateRevocationList, parsed: asn1_crl.TbsCertList) -> None:
    this_update, next_update = crl.last_update_utc, crl.next_update_utc
    require(
        next_update is not None and this_update < next_update,
        "crl.next_update",
        "RFC 5280 §5.1.2.5",
        "A revocation list's next update must be later than its update.",
    )
    assert next_update
    lint_time(parsed["this_update"], this_update, "crl.time_type", "RFC 5280 §5.1.2.4")
    lint_time(parsed["next_update"], next_update, "crl.time_type", "RFC 5280 §5.1.2.5")


def _lint_crl_extensions(found: list[x509.Extension[x509.ExtensionType]], issuer: x509.Certificate) -> None:
    require(
        [type(each.value) for each in found] == [x509.AuthorityKeyIdentifier, x509.CRLNumber]
        and not any(each.critical for each in found),
        "crl.extensions",
        "RFC 5280 §5.2",
        "A revocation list must carry its issuer's key identifier and its number, and nothing else.",
    )
    identifier, number = found[0].value, found[1].value
    assert isinstance(identifier, x509.AuthorityKeyIdentifier)
    assert isinstance(number, x509.CRLNumber)
    require(
        identifier.key_identifier == key_identifier(issuer),
        "crl.authority_key_identifier",
        "RFC 5280 §5.2.1",
        "A revocation list must carry the identifier of its issuer's key.",
    )
    require(
        0 < number.crl_number.bit_length() <= 8 * MOST_SERIAL_OCTETS - 1,
        "crl.number",
        "RFC 5280 §5.2.3",
        "A revocation list's number must be positive and have at most 20 octets.",
    )


def _lint_entries(entries: list[x509.RevokedCertificate]) -> None:
    serials = [entry.serial_number for entry in entries]
    require(
        len(set(serials)) == len(serials),
        "crl.entry_twice",
        "RFC 5280 §5.1.2.6",
        "A revocation list must name a certificate once only.",
    )
    for entry in entries:
        reasons = [each.value for each in entry.extensions]
        require(
            all(
                isinstance(each, x509.CRLReason) and each.reason is not x509.ReasonFlags.unspecified
                for each in reasons
            )
            and not any(each.critical for each in entry.extensions),
            "crl.entry_extensions",
            "RFC 5280 §5.3.1",
            "An entry must carry a reason or nothing, and never `unspecified`.",
        )


# OCSP answers -------------------------------------------------------------------------------------


def lint_ocsp_response(
    data: bytes, identifier: bytes, responder: x509.Certificate, issuer: x509.Certificate
) -> None:
    """Judge the DER of a ResponseData that a responder of the issuer is about to sign.

    Raises ProfileViolation.
    """
    basic = sequence(data, identifier, UNSIGNED)
    whole = sequence(
        b"\x0a\x01\x00", explicit(0, sequence(object_identifier(_BASIC_RESPONSE), octet_string(basic)))
    )
    try:
        response = ocsp.load_der_ocsp_response(whole)
        answers = list(response.responses)
        found = list(response.extensions)
        produced_at = response.produced_at_utc
        statuses = [(each.certificate_status, each.revocation_reason) for each in answers]
    except (ValueError, TypeError, x509.DuplicateExtension) as error:
        raise ProfileViolation(
            "The OCSP answer cannot be read.", rule="ocsp.encoding", clause="RFC 6960 §4.2.1"
        ) from error
    _lint_responder(responder, issuer, produced_at)
    require(
        identifier == algorithm_of(responder.public_key()).identifier,
        "ocsp.algorithm",
        "RFC 6960 §4.2.1",
        "The signature's algorithm must be that of the responder's key.",
    )
    require(
        response.responder_key_hash == key_identifier(responder),
        "ocsp.responder_id",
        "RFC 6960 §4.2.1",
        "An answer must name the responder by the hash of its key.",
    )
    require(len(answers) > 0, "ocsp.answers", "RFC 6960 §4.2.1", "An answer must be about a certificate.")
    for each in answers:
        _lint_answer(each, produced_at)
    require(
        all(status is not None for status, _ in statuses)
        and all(isinstance(each.value, x509.OCSPNonce) and not each.critical for each in found)
        and all(1 <= len(each.value.nonce) <= LONGEST_NONCE for each in found),
        "ocsp.extensions",
        "RFC 9654 §2.1",
        "An answer must carry a nonce of 1 to 128 octets, not critical, or no extension.",
    )


def _lint_responder(responder: x509.Certificate, issuer: x509.Certificate, produced_at: datetime) -> None:
    kinds = {type(each.value): each.value for each in responder.extensions}
    purposes = kinds.get(x509.ExtendedKeyUsage)
    require(
        isinstance(purposes, x509.ExtendedKeyUsage)
        and ExtendedKeyUsageOID.OCSP_SIGNING in purposes
        and x509.OCSPNoCheck in kinds,
        "ocsp.delegated",
        "RFC 6960 §4.2.2.2",
        "The responder's certificate must be for signing OCSP answers.",
    )
    require(
        responder.issuer == issuer.subject,
        "ocsp.issuer",
        "RFC 6960 §4.2.2.2",
        "The responder's certificate must come from the issuer that is asked about.",
    )
    require(
        responder.not_valid_before_utc <= produced_at <= responder.not_valid_after_utc,
        "ocsp.responder_valid",
        "RFC 6960 §4.2.2.2",
        "The responder's certificate is not valid at this time.",
    )


def _lint_answer(answer: ocsp.OCSPSingleResponse, produced_at: datetime) -> None:
    this_update, next_update = answer.this_update_utc, answer.next_update_utc
    require(
        next_update is not None and this_update <= produced_at < next_update,
        "ocsp.times",
        "RFC 6960 §4.2.2.1",
        "An answer must be made between its update and its next update.",
    )
    require(
        answer.revocation_time_utc is None or answer.revocation_time_utc <= produced_at,
        "ocsp.revocation_time",
        "RFC 6960 §4.2.1",
        "A revocation must not lie in the future.",
    )
    require(
        answer.revocation_reason is not x509.ReasonFlags.unspecified,
        "ocsp.reason",
        "RFC 5280 §5.3.1",
        "The reason `unspecified` must be left out.",
    )
