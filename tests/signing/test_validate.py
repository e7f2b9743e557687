import io
import pickle
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from pki import NOW, issue, make_pki, throwaway_pki
from pyhanko.pdf_utils.writer import PdfFileWriter
from signed_pages import digest_around_container, one_page, replace_container, turn_page

from keys import profiles
from keys.cms import DATA, sign_content
from keys.revocation import Revocation, build_crl
from keys.timestamp import local_timestamper
from signing.errors import UnreadableDocument
from signing.sign import sign_document
from signing.validate import Indication, ValidationReport, validate_document

PKI = throwaway_pki()
LATER = NOW + timedelta(hours=1)


PDF = one_page()


def sign(pki=PKI, signer=None, stamped=True, pdf=PDF, moment=NOW):
    timestamper = local_timestamper(pki.tsa, lambda: moment) if stamped else None
    return sign_document(pdf, signer or pki.official, signed_at=moment, timestamper=timestamper)


SIGNED = sign()
GAP = range(SIGNED.index(b"/Contents <") + 10, SIGNED.index(b">", SIGNED.index(b"/Contents <")) + 1)


def validate(pdf=SIGNED, at=LATER, pki=PKI, **options):
    return validate_document(pdf, pki.trust_anchors, at=at, **options)


@pytest.mark.parametrize("algorithm", ["p384", "mldsa65"])
def test_a_document_signed_with_another_kind_of_key_passes(algorithm):
    """ML-DSA is experimental: it passes here, and other readers do not know it yet."""
    pki = make_pki(algorithm=algorithm)

    assert validate(sign(pki), pki=pki).indication == Indication.TOTAL_PASSED


def passes(pdf):
    try:
        return validate(pdf).indication == Indication.TOTAL_PASSED
    except UnreadableDocument:
        return False


def crl(issuer, *revocations):
    return build_crl(
        issuer,
        revocations,
        number=1,
        this_update=LATER - timedelta(minutes=1),
        next_update=LATER + timedelta(days=1),
    )


def test_a_signed_document_passes():
    report = validate()
    signature = report.signature

    assert (report.indication, report.sub_indication, report.reasons) == (Indication.TOTAL_PASSED, None, ())
    assert report.signatures == (signature,)
    assert (signature.level, signature.signer) == ("B-T", "Kepala Dinas Contoh")
    assert (signature.signed_at, signature.timestamped_at) == (NOW, NOW)
    assert signature.coverage_entire_file
    assert signature.docmdp_ok
    assert signature.modification_level == "NONE"
    assert x509.load_der_x509_certificate(signature.signer_certificate) == PKI.official.certificate


@pytest.mark.parametrize("algorithm", ["p256", "rsa3072"])
@pytest.mark.parametrize("stamped", [True, False], ids=["B-T", "B-B"])
def test_every_key_and_level_passes(algorithm, stamped):
    pki = PKI if algorithm == "p256" else make_pki(algorithm=algorithm)

    report = validate(sign(pki, pki.seal, stamped), pki=pki)

    assert report.indication == Indication.TOTAL_PASSED
    assert report.signature.level == ("B-T" if stamped else "B-B")


def test_a_report_crosses_to_another_process():
    assert pickle.loads(pickle.dumps(validate())) == validate()


def test_a_report_holds_nothing_of_the_document():
    assert type(validate().signatures[0].field_name) is str


def test_a_document_without_a_signature_says_so():
    report = validate(PDF)

    assert report == ValidationReport(Indication.INDETERMINATE, None, ("no_signature",), ())
    assert report.signature is None


def test_a_flipped_bit_in_the_text_fails():
    position = SIGNED.index(b"SURAT IZIN")
    altered = SIGNED[:position] + b"T" + SIGNED[position + 1 :]

    report = validate(altered)

    assert (report.indication, report.sub_indication) == (Indication.TOTAL_FAILED, "HASH_FAILURE")


def test_no_bit_of_the_file_can_flip_unnoticed():
    """A hundred bits drawn from the whole file, and some digits of all parts of the signature's container."""
    draw = random.Random(503)
    positions = [(draw.randrange(len(SIGNED)), 1 << draw.randrange(8)) for _ in range(100)]
    positions += [(position, 1) for position in GAP[1:-1:41]]
    assert passes(SIGNED)

    for position, bit in positions:
        altered = bytearray(SIGNED)
        altered[position] ^= bit
        assert not passes(bytes(altered)), (position, bit)


@pytest.mark.parametrize("position", [GAP[-2], GAP[-200]], ids=["last digit", "padding"])
def test_padding_that_is_not_zero_fails(position):
    altered = bytearray(SIGNED)
    altered[position] = ord("1")

    report = validate(bytes(altered))

    assert (report.indication, report.reasons) == (Indication.TOTAL_FAILED, ("container_altered",))


def test_a_digit_in_another_case_fails():
    """It means the same to every parser, and yet is not the file that was issued."""
    altered = bytearray(SIGNED)
    altered[next(position for position in GAP if chr(SIGNED[position]) in "ABCDEF")] |= 0x20

    assert validate(bytes(altered)).reasons == ("container_altered",)


@pytest.mark.parametrize("tail", [b"\n", b"\0", b"% catatan\n"])
def test_bytes_after_the_end_fail(tail):
    report = validate(SIGNED + tail)

    assert report.indication == Indication.TOTAL_FAILED
    assert "not_whole_file" in report.reasons


def test_an_update_after_signing_fails():
    report = validate(turn_page(SIGNED))

    assert report.indication == Indication.TOTAL_FAILED
    assert {"not_whole_file", "modified_after_signing", "certification_violated"} <= set(report.reasons)
    assert not report.signature.coverage_entire_file


def test_names_without_the_keys_do_not_pass():
    """Anyone can make a hierarchy with our names."""
    foreign = make_pki()

    report = validate(sign(foreign))

    assert (report.indication, report.sub_indication) == (
        Indication.INDETERMINATE,
        "NO_CERTIFICATE_CHAIN_FOUND",
    )


def test_a_certificate_from_another_issuer_does_not_pass():
    impostor = replace(PKI.official, sign=make_pki().official.sign)

    assert validate(sign(signer=impostor)).sub_indication == "SIG_CRYPTO_FAILURE"


def test_a_time_stamp_of_a_stranger_does_not_pass():
    pdf = sign_document(
        PDF, PKI.official, signed_at=NOW, timestamper=local_timestamper(make_pki().tsa, lambda: NOW)
    )

    report = validate(pdf)

    assert report.indication == Indication.INDETERMINATE
    assert report.signature.timestamped_at is None


def test_without_trust_anchors_nothing_passes():
    assert validate_document(SIGNED, [], at=LATER).indication == Indication.INDETERMINATE


def test_an_expired_signer_passes_only_with_a_time_stamp():
    after = PKI.official.certificate.not_valid_after_utc + timedelta(days=1)

    assert validate(at=after).indication == Indication.TOTAL_PASSED
    assert validate(sign(stamped=False), at=after).sub_indication == "OUT_OF_BOUNDS_NO_POE"


def test_a_signature_before_its_certificate_does_not_pass():
    """The signer's certificate begins a week after the time stamp says it was used."""
    future = issue(profiles.OFFICIAL, "Kepala Dinas Contoh", PKI.issuing, NOW + timedelta(days=7))
    timestamper = local_timestamper(PKI.tsa, lambda: NOW)
    pdf = sign_document(PDF, future, signed_at=NOW + timedelta(days=8), timestamper=timestamper)

    assert validate(pdf, at=NOW + timedelta(days=9)).indication == Indication.INDETERMINATE


def test_a_time_stamp_after_the_signers_certificate_expired_does_not_pass():
    expired = PKI.official.certificate.not_valid_after_utc + timedelta(days=1)
    timestamper = local_timestamper(PKI.tsa, lambda: expired)
    pdf = sign_document(PDF, PKI.official, signed_at=NOW, timestamper=timestamper)

    assert validate(pdf, at=expired + timedelta(days=1)).sub_indication == "EXPIRED"


def test_a_tsas_certificate_signs_no_document():
    certificates = [PKI.tsa.certificate, PKI.issuing.certificate]
    container = sign_content(PKI.tsa, DATA, digest_around_container(SIGNED), certificates=certificates)

    report = validate(replace_container(SIGNED, container))

    assert (report.indication, report.sub_indication) == (
        Indication.INDETERMINATE,
        "CHAIN_CONSTRAINTS_FAILURE",
    )


def test_an_officials_certificate_stamps_no_time():
    pdf = sign_document(
        PDF, PKI.official, signed_at=NOW, timestamper=local_timestamper(PKI.seal, lambda: NOW)
    )

    assert validate(pdf).indication == Indication.INDETERMINATE


def test_a_crl_without_the_signer_passes():
    report = validate(crls=[crl(PKI.issuing), crl(PKI.root)])

    assert report.indication == Indication.TOTAL_PASSED


def test_a_signer_revoked_before_signing_does_not_pass():
    revocation = Revocation(PKI.official.certificate.serial_number, NOW - timedelta(hours=1))

    report = validate(crls=[crl(PKI.issuing, revocation)])

    assert report.indication != Indication.TOTAL_PASSED
    assert report.reasons[0].startswith("revoked")


def test_a_signer_revoked_after_the_time_stamp_passes():
    """What was signed before keeps its force; without a time stamp nobody knows that it was before."""
    revocation = Revocation(PKI.official.certificate.serial_number, NOW + timedelta(minutes=30))
    crls = [crl(PKI.issuing, revocation)]

    assert validate(crls=crls).indication == Indication.TOTAL_PASSED
    assert validate(sign(stamped=False), crls=crls).sub_indication == "REVOKED_NO_POE"


def test_a_revoked_authority_does_not_pass():
    revocation = Revocation(PKI.issuing.certificate.serial_number, NOW - timedelta(hours=1))

    report = validate(crls=[crl(PKI.issuing), crl(PKI.root, revocation)])

    assert report.indication != Indication.TOTAL_PASSED


def test_a_stale_crl_does_not_pass():
    assert validate(at=LATER + timedelta(days=2), crls=[crl(PKI.issuing)]).indication != "TOTAL-PASSED"


def test_a_forged_crl_is_not_believed():
    assert validate(crls=[crl(make_pki().issuing)]).indication != Indication.TOTAL_PASSED


@pytest.mark.parametrize(
    "pdf",
    [
        b"",
        b"%PDF-1.7",
        b"<html></html>",
        SIGNED[: len(SIGNED) // 2],
        b"%PDF-1.7\n1 0 obj\n" + b"[" * 20000,
        SIGNED.replace(b"/Root", b"/Toor"),
        SIGNED.replace(b"/Fields", b"/Fie1ds"),
        SIGNED.replace(b"/ByteRange", b"/ByteRang3"),
        SIGNED.replace(b"/AcroForm ", b"/AcroForm 9"),
    ],
)
def test_hostile_input_gives_a_report_or_one_error(pdf):
    assert not passes(pdf)


def test_an_encrypted_document_cannot_be_read():
    writer = PdfFileWriter()
    writer.encrypt(owner_pass="rahasia", user_pass="rahasia")
    output = io.BytesIO()
    writer.write(output)

    with pytest.raises(UnreadableDocument, match=r"^The document is encrypted\.$"):
        validate(output.getvalue())
