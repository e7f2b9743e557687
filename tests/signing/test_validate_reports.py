"""What a report tells: all that was found of each signature, and nothing of what could not be read."""

import hashlib
import io
import re

import pytest
from asn1crypto import cms, tsp
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from pki import NOW, make_pki, throwaway_pki
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.ades.report import AdESFailure, AdESIndeterminate, AdESPassed
from pyhanko.sign.fields import SigFieldSpec, append_signature_field
from signed_pages import (
    DAY,
    HOUR,
    archive_page,
    digest_around_container,
    extend_page,
    lists,
    one_page,
    replace_container,
    sign_again,
    sign_page,
    turn_page,
)

from keys import profiles
from keys.algorithms import generate_key, sign_with
from keys.authority import Subject, issue_certificate
from keys.cms import DATA, sign_content
from keys.ocsp import CertId, CertStatus, answer_beforehand
from keys.store import OpenKey
from keys.timestamp import local_timestamper
from signing.errors import UnreadableDocument
from signing.extend import extend_to_lt
from signing.sign import FIELD_NAME, sign_document
from signing.validate import Indication, SignatureReport, ValidationReport, indicate, validate_document

PKI = throwaway_pki()
FOREIGN = make_pki()
LATER = NOW + 2 * HOUR
OFFICIAL = PKI.official.certificate
CERTIFICATES = (OFFICIAL, PKI.issuing.certificate)
BASIC, TIMED = sign_page(PKI.official), sign_page(PKI.official, PKI.tsa)
LT = extend_page(TIMED)
LTA = archive_page(LT, PKI.tsa)
GAP = b"/Contents <"
MALFORMED = (Indication.TOTAL_FAILED, "FORMAT_FAILURE", ("malformed_signature",))


def validate(pdf, at=LATER, **options):
    return validate_document(pdf, PKI.trust_anchors, at=at, **options)


def sign_over(page, key, *certificates, change=lambda attributes: attributes):
    """Sign what a page's first signature is over, with other certificates or signed attributes beside it."""
    digest = digest_around_container(page)
    message = cms.ContentInfo.load(sign_content(key, DATA, digest, certificates=certificates))
    (signer_info,) = message["content"]["signer_infos"]
    attributes = cms.CMSAttributes(change(list(signer_info["signed_attrs"])))
    signer_info["signed_attrs"] = attributes
    signer_info["signature"] = key.sign(attributes.dump())
    return replace_container(page, message.dump())


def with_altered_padding(pdf):
    """Put a digit that means nothing into the room of the last signature or document time stamp."""
    position = pdf.index(b">", pdf.rindex(GAP)) - 1
    return pdf[:position] + b"1" + pdf[position + 1 :]


# What is told of one signature -------------------------------------------------------------------


def test_everything_that_was_found_is_told():
    start = LTA.index(GAP) + len(GAP)
    container = cms.ContentInfo.load(bytes.fromhex(LTA[start : LTA.index(b">", start)].decode()))
    found = SignatureReport(
        field_name=FIELD_NAME,
        indication=Indication.TOTAL_PASSED,
        sub_indication=None,
        reasons=(),
        container_sha256=hashlib.sha256(container.dump()).hexdigest(),
        level="B-LTA",
        signer="Kepala Dinas Contoh",
        signer_serial=f"{OFFICIAL.serial_number:x}",
        signer_certificate=OFFICIAL.public_bytes(Encoding.DER),
        signed_at=NOW,
        timestamped_at=NOW,
        coverage_entire_file=True,
        modification_level="LTA_UPDATES",
        docmdp_ok=True,
    )

    assert validate(LTA) == ValidationReport(Indication.TOTAL_PASSED, None, (), (found,))


def test_without_a_time_stamp_the_signers_claim_proves_no_time():
    signature = validate(BASIC).signature

    assert (signature.level, signature.signed_at, signature.timestamped_at) == ("B-B", NOW, None)


def test_of_a_malformed_signature_nothing_else_is_told():
    """Its own certificate is missing, so nobody knows by which key it was made."""
    report = validate(sign_over(BASIC, PKI.official), detailed=True)

    assert report == ValidationReport(*MALFORMED, (SignatureReport(FIELD_NAME, *MALFORMED),))
    assert not report.signature.coverage_entire_file
    assert not report.signature.docmdp_ok
    assert report.signature.modification_level == "OTHER"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        (b"/ByteRange", b"/ByteRang3"),
        (b"/SubFilter /ETSI.CAdES.detached", b"/SubFilter /ETSI.CAdES.detacheX"),
        (b"/Contents <3", b"/Contents <4"),
    ],
)
def test_a_signature_that_cannot_be_read_at_all_is_malformed(name, other):
    """Were it passed over, the document would be one that nobody signed."""
    assert validate(TIMED.replace(name, other)) == ValidationReport(*MALFORMED, ())


def test_an_empty_field_waits_for_a_signature_and_is_none():
    writer = IncrementalPdfFileWriter(io.BytesIO(one_page()))
    append_signature_field(writer, SigFieldSpec("Kosong"))
    output = io.BytesIO()
    writer.write(output)

    signed = sign_again(output.getvalue(), PKI.official, "Terisi")

    assert validate(output.getvalue()).reasons == ("no_signature",)
    assert validate(signed).indication == Indication.TOTAL_PASSED
    assert [each.field_name for each in validate(signed).signatures] == ["Terisi"]


@pytest.mark.parametrize("names", [[], ["Kepala Dinas"], ["Kepala Dinas", "Pelaksana Tugas"]])
def test_a_signer_is_named_by_every_common_name_of_its_certificate(names):
    private = generate_key()
    certificate = (
        x509.CertificateBuilder()
        .issuer_name(PKI.issuing.certificate.subject)
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name) for name in names]))
        .serial_number(503)
        .public_key(private.public_key())
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .sign(generate_key(), SHA256())
    )

    report = validate(sign_over(BASIC, OpenKey("luar", certificate, (), sign_with(private)), certificate))

    assert report.signature.signer == (", ".join(names) or None)


def test_details_tell_when_a_signature_was_judged_that_its_archive_kept_from_being_reached():
    report = validate(archive_page(LT, FOREIGN.tsa), detailed=True)

    assert report.signature.details.judged_at == LATER


# The level ---------------------------------------------------------------------------------------


def without_naming(attributes):
    return [each for each in attributes if each["type"].native != "signing_certificate_v2"]


def naming_by_sha1(attributes):
    """Name the signer's certificate as before 2007 (RFC 2634 §5.4)."""
    names = tsp.SigningCertificate({"certs": [{"cert_hash": OFFICIAL.fingerprint(SHA1())}]})
    old = cms.CMSAttribute({"type": "signing_certificate", "values": [names]})
    return [*without_naming(attributes), old]


@pytest.mark.parametrize(
    ("pdf", "level", "reasons"),
    [
        (sign_over(BASIC, PKI.official, *CERTIFICATES, change=naming_by_sha1), "B-B", ()),
        (sign_over(BASIC, PKI.official, *CERTIFICATES, change=without_naming), None, ("not_pades",)),
        (
            sign_over(BASIC.replace(b"/ETSI.CAdES.", b"/adbe.pkcs7."), PKI.official, *CERTIFICATES),
            None,
            ("not_pades",),
        ),
    ],
    ids=["named by SHA-1", "names no certificate", "another sub-filter"],
)
def test_only_what_names_its_certificate_under_the_sub_filter_of_pades_has_a_level(pdf, level, reasons):
    """EN 319 142-1 §6.3."""
    report = validate(pdf)

    assert (report.signature.level, report.reasons) == (level, reasons)


@pytest.mark.parametrize(
    ("pdf", "level"),
    [
        (extend_page(TIMED, lists(NOW)[1:]), "B-T"),
        (archive_page(extend_page(TIMED, lists(NOW)[1:]), PKI.tsa), "B-T"),
        (archive_page(LTA, PKI.tsa, NOW + HOUR), "B-LTA"),
    ],
    ids=["lists of others", "archived with lists of others", "archived twice"],
)
def test_only_what_tells_of_the_signers_revocation_is_long_term(pdf, level):
    assert validate(pdf).signature.level == level


def issue_naming_a_responder(profile):
    """Certify a key. OCSP responses are looked at only where a certificate names where they are had."""
    private = generate_key()
    certificate = issue_certificate(
        profile,
        Subject(profile.name),
        private.public_key(),
        PKI.issuing,
        now=NOW - DAY,
        addresses=profiles.Addresses(ocsp="http://ocsp.invalid"),
    )
    return OpenKey(profile.name, certificate, PKI.official.chain, sign_with(private))


def answer_about(key, responder, status):
    asked = CertId.of(PKI.issuing.certificate, key.certificate.serial_number, "sha256")
    return answer_beforehand(responder, asked, status, now=NOW, next_update=NOW + DAY)


def test_an_ocsp_response_about_another_certificate_makes_nothing_long_term():
    signer, tsa, responder = (
        issue_naming_a_responder(profile)
        for profile in (profiles.OFFICIAL, profiles.TSA, profiles.OCSP_RESPONDER)
    )
    answer = answer_about(tsa, responder, CertStatus(is_known=True))
    certificates = [signer.certificate, PKI.issuing.certificate]
    pdf = extend_to_lt(sign_page(signer, tsa), certificates=certificates, crls=(), ocsp_responses=[answer])

    assert validate(pdf).signature.level == "B-T"


@pytest.mark.parametrize(
    ("status", "at", "indication"),
    [
        (CertStatus(is_known=True), LATER, Indication.TOTAL_PASSED),
        (CertStatus(is_known=True), NOW + 2 * DAY, Indication.INDETERMINATE),
        (CertStatus(is_known=True, revoked_at=NOW - HOUR), LATER, Indication.INDETERMINATE),
    ],
    ids=["good", "stale", "revoked"],
)
def test_ocsp_responses_alone_make_long_term_and_are_judged(status, at, indication):
    signer, tsa, responder = (
        issue_naming_a_responder(profile)
        for profile in (profiles.OFFICIAL, profiles.TSA, profiles.OCSP_RESPONDER)
    )
    answers = [
        answer_about(key, responder, told)
        for key, told in ((signer, status), (tsa, CertStatus(is_known=True)))
    ]
    certificates = [signer.certificate, PKI.issuing.certificate]
    pdf = extend_to_lt(sign_page(signer, tsa), certificates=certificates, crls=(), ocsp_responses=answers)

    report = validate(pdf, at)

    assert (report.indication, report.signature.level) == (indication, "B-LT")


@pytest.mark.parametrize("known", [0, 1], ids=["nothing", "the signer's only"])
def test_an_archive_passes_only_when_the_revocation_of_signer_and_authority_is_known(known):
    report = validate(archive_page(extend_page(TIMED, lists(NOW)[:known]), PKI.tsa))

    assert (report.indication, report.sub_indication) == (
        Indication.INDETERMINATE,
        "CERTIFICATE_CHAIN_GENERAL_FAILURE",
    )


# The place in the file ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pdf", "failed"),
    [
        (BASIC, {}),
        (
            sign_over(BASIC, PKI.official, *CERTIFICATES, change=without_naming),
            {"format": "not_pades"},
        ),
        (with_altered_padding(BASIC), {"container": "container_altered"}),
        (with_altered_padding(LTA), {"container": "container_altered"}),
        (LTA + b"\n", {"coverage": "not_whole_file"}),
        (
            turn_page(BASIC),
            {
                "coverage": "not_whole_file",
                "modifications": "modified_after_signing",
                "certification": "certification_violated",
            },
        ),
    ],
)
def test_each_check_of_the_file_gives_its_own_reason(pdf, failed):
    report = validate(pdf, detailed=True)
    in_file = {check.name: check.passed for check in report.signature.details.checks[:5]}

    assert report.reasons == tuple(failed.values())
    assert in_file == {
        name: name not in failed
        for name in ("format", "container", "coverage", "modifications", "certification")
    }


# The time of signing -----------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [OFFICIAL.not_valid_before_utc, OFFICIAL.not_valid_after_utc])
def test_a_certificate_is_in_force_in_its_first_and_last_second(moment):
    """RFC 5280 §4.1.2.5 includes both."""
    timestamper = local_timestamper(PKI.tsa, lambda: moment)
    pdf = sign_document(one_page(), PKI.official, signed_at=NOW, timestamper=timestamper)

    report = validate(pdf, at=OFFICIAL.not_valid_after_utc + DAY)

    assert (report.indication, report.signature.timestamped_at) == (Indication.TOTAL_PASSED, moment)


# The document ------------------------------------------------------------------------------------


def test_the_worst_of_several_signatures_speaks_for_the_document():
    """The first two do not allow for what came after them; of the last nobody knows the signer."""
    pdf = one_page()
    for key, field_name in ((PKI.official, "Satu"), (PKI.seal, "Dua"), (FOREIGN.official, "Tiga")):
        pdf = sign_again(pdf, key, field_name)

    report = validate(pdf, detailed=True)

    followed = (Indication.TOTAL_FAILED, "FORMAT_FAILURE", ("not_whole_file", "modified_after_signing"))
    unknown = "CERTIFICATE_CHAIN_GENERAL_FAILURE"
    assert [
        (each.field_name, each.indication, each.sub_indication, each.reasons) for each in report.signatures
    ] == [
        ("Satu", *followed),
        ("Dua", *followed),
        ("Tiga", Indication.INDETERMINATE, unknown, (unknown.lower(),)),
    ]
    assert (report.indication, report.sub_indication) == followed[:2]
    assert report.reasons == (*followed[2], unknown.lower())
    assert all(each.details for each in report.signatures)


@pytest.mark.parametrize(
    "pdf",
    [b"<html></html>", re.sub(rb"/Size \d+", b"/Size 2", one_page())],
    ids=["another format", "more objects than are counted"],
)
def test_what_readers_could_only_guess_at_cannot_be_read(pdf):
    with pytest.raises(UnreadableDocument, match=r"^The file cannot be read as a PDF document\.$"):
        validate(pdf)


@pytest.mark.parametrize(
    ("sub_indication", "faults", "indicated"),
    [
        (AdESPassed.OK, (), (Indication.TOTAL_PASSED, None, ())),
        (AdESPassed.OK, ("b", "a"), (Indication.TOTAL_FAILED, "FORMAT_FAILURE", ("b", "a"))),
        (AdESIndeterminate.EXPIRED, (), (Indication.INDETERMINATE, "EXPIRED", ("expired",))),
        (AdESIndeterminate.EXPIRED, ("a",), (Indication.TOTAL_FAILED, "FORMAT_FAILURE", ("a",))),
        (AdESFailure.HASH_FAILURE, (), (Indication.TOTAL_FAILED, "HASH_FAILURE", ("hash_failure",))),
        (AdESFailure.HASH_FAILURE, ("a",), (Indication.TOTAL_FAILED, "HASH_FAILURE", ("hash_failure", "a"))),
    ],
)
def test_the_gravest_finding_names_itself(sub_indication, faults, indicated):
    assert indicate(sub_indication, faults) == indicated
