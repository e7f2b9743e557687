import hashlib
import io
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import cms
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding
from documents import PERMIT
from pki import NOW, make_pki, throwaway_pki
from postgres import require
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import SignatureCoverageLevel, validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from reportlab.pdfgen.canvas import Canvas

from keys.timestamp import Timestamper, local_timestamper
from signing.errors import (
    AlreadySigned,
    SignatureDoesNotFit,
    SignerCertificateNotValid,
    SignerCertificateUnsuitable,
    TimestampUnavailable,
    UnreadableDocument,
)
from signing.render import render_document
from signing.sign import sign_document

PKI = throwaway_pki()
TIMESTAMPER = local_timestamper(PKI.tsa, lambda: NOW)


def one_page():
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawString(72, 720, "SURAT IZIN 503/1")
    canvas.save()
    return buffer.getvalue()


PDF = one_page()


def sign(pdf=PDF, signer=PKI.official, timestamper=TIMESTAMPER, signed_at=NOW, **options):
    return sign_document(pdf, signer, signed_at=signed_at, timestamper=timestamper, **options)


def only_signature(pdf):
    (signature,) = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    return signature


def attributes(signature, kind):
    return {each["type"].native: each["values"] for each in signature.signer_info[kind] or ()}


def test_the_signature_is_an_update_that_keeps_what_was_rendered():
    assert sign().startswith(PDF)


def test_the_cms_is_what_pades_asks_for():
    signature = only_signature(sign(reason="Penerbitan izin", location="Pekalongan"))

    assert signature.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"
    assert signature.sig_object["/Reason"] == "Penerbitan izin"
    assert signature.sig_object["/Location"] == "Pekalongan"
    assert signature.self_reported_timestamp == NOW
    assert set(attributes(signature, "signed_attrs")) == {
        "content_type",
        "message_digest",
        "signing_certificate_v2",
    }
    assert signature.md_algorithm == "sha256"


def test_the_chain_is_embedded_without_the_trust_anchor():
    certificates = only_signature(sign()).signed_data["certificates"]

    assert {each.chosen.subject.native["common_name"] for each in certificates} == {
        "Kepala Dinas Contoh",
        "Canting Issuing CA (UJI)",
    }


def test_the_document_is_certified_against_any_change():
    signature = only_signature(sign())

    assert signature.docmdp_level.name == "NO_CHANGES"
    assert "/DocMDP" in signature.reader.root["/Perms"]


def test_the_time_stamp_is_over_the_signatures_value():
    signature = only_signature(sign())

    (token,) = attributes(signature, "unsigned_attrs")["signature_time_stamp_token"]
    info = token["content"]["encap_content_info"]["content"].parsed
    value = signature.signer_info["signature"].native
    assert info["message_imprint"]["hashed_message"].native == hashlib.sha256(value).digest()


def test_without_a_timestamper_there_is_none():
    assert not attributes(only_signature(sign(timestamper=None)), "unsigned_attrs")


def test_the_widget_is_outside_the_page_printable_and_named():
    """PDF/A wants it printable and not hidden, PDF/UA tagged or outside the page and the tab order set."""
    signature = only_signature(sign())
    widget, page = signature.sig_field, signature.sig_field["/P"]

    assert widget["/F"] == 0b10000100
    assert all(coordinate < 0 for coordinate in widget["/Rect"])
    assert widget["/TU"] == "Tanda tangan elektronik"
    assert page["/Tabs"] == "/S"


def test_the_metadata_stay_as_rendered():
    reader = PdfFileReader(io.BytesIO(sign()))

    assert reader.trailer["/Info"] == PdfFileReader(io.BytesIO(PDF)).trailer["/Info"]


def test_the_room_for_the_signature_is_used():
    signature = only_signature(sign())

    unused = len(signature.pkcs7_content) - len(cms.ContentInfo.load(signature.pkcs7_content).dump())
    assert unused < 300


@pytest.mark.parametrize("algorithm", ["p256", "p384", "rsa3072"])
def test_openssl_accepts_the_signature(tmp_path, algorithm):
    require(shutil.which("openssl"), "openssl is not installed")
    pki = PKI if algorithm == "p256" else make_pki(algorithm=algorithm)
    pdf = sign(signer=pki.official, timestamper=local_timestamper(pki.tsa, lambda: NOW))
    signature = only_signature(pdf)
    _, before, after, _ = signature.byte_range
    (tmp_path / "cms").write_bytes(cms.ContentInfo.load(signature.pkcs7_content).dump())
    (tmp_path / "content").write_bytes(pdf[:before] + pdf[after:])
    (tmp_path / "root").write_bytes(pki.root.certificate.public_bytes(Encoding.PEM))

    command = ["openssl", "cms", "-verify", "-binary", "-cades", "-inform", "DER", "-in", "cms"]
    command += ["-content", "content", "-CAfile", "root", "-purpose", "any", "-out", "verified"]
    command += ["-attime", str(int(NOW.timestamp()))]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert "Verification successful" in result.stderr


@pytest.mark.parametrize("level", ["B-B", "B-T"])
@pytest.mark.parametrize("algorithm", ["p256", "p384", "rsa3072"])
def test_pyhanko_poppler_and_mupdf_accept_the_signature_alike(tmp_path, algorithm, level):
    require(shutil.which("pdfsig"), "pdfsig (poppler-utils) is not installed")
    require(shutil.which("mutool"), "mutool (mupdf-tools) is not installed")
    pki = PKI if algorithm == "p256" else make_pki(algorithm=algorithm)
    timestamper = local_timestamper(pki.tsa, lambda: NOW) if level == "B-T" else None
    signed = sign(render_document(PERMIT), pki.official, timestamper)
    (tmp_path / "signed.pdf").write_bytes(signed)

    status = judged_by_pyhanko(signed, pki)
    poppler = subprocess.run(["pdfsig", "signed.pdf"], cwd=tmp_path, capture_output=True, text=True)
    mupdf = subprocess.run(
        ["mutool", "sign", "-v", "signed.pdf"], cwd=tmp_path, capture_output=True, text=True
    )

    assert status.bottom_line, status.pretty_print_details()
    assert status.coverage == SignatureCoverageLevel.ENTIRE_FILE
    assert "Signature is Valid." in poppler.stdout
    assert "Total document signed" in poppler.stdout
    assert "The document is unchanged since signing." in mupdf.stdout


def judged_by_pyhanko(pdf, pki):
    root, issuing, tsa = (
        asn1_x509.Certificate.load(each.certificate.public_bytes(Encoding.DER))
        for each in (pki.root, pki.issuing, pki.tsa)
    )
    context = ValidationContext(
        trust_roots=[root], other_certs=[issuing, tsa], allow_fetching=False, moment=NOW
    )
    return validate_pdf_signature(only_signature(pdf), context, context)


@pytest.mark.parametrize("seconds", [-1, 1], ids=["before", "after"])
def test_nobody_signs_outside_the_certificates_time(seconds):
    certificate = PKI.official.certificate
    edge = certificate.not_valid_before_utc if seconds < 0 else certificate.not_valid_after_utc

    with pytest.raises(SignerCertificateNotValid):
        sign(signed_at=edge + timedelta(seconds=seconds))


@pytest.mark.parametrize("key", [PKI.tsa, PKI.issuing], ids=["tsa", "authority"])
def test_a_certificate_for_something_else_signs_no_document(key):
    with pytest.raises(SignerCertificateUnsuitable):
        sign(signer=key)


def unreachable(_digest):
    raise ConnectionError("no route to the authority")


@pytest.mark.parametrize(
    "stamp",
    [
        unreachable,
        lambda digest: b"<html>",
        lambda digest: TIMESTAMPER.stamp(bytes(32)),
        lambda digest: cms.ContentInfo({"content_type": "data", "content": digest}).dump(),
    ],
    ids=["unreachable", "no token", "over something else", "other content"],
)
def test_without_a_usable_time_stamp_nothing_is_signed(stamp):
    with pytest.raises(TimestampUnavailable):
        sign(timestamper=Timestamper(stamp, 4096))


def test_a_signature_may_do_without_a_time_stamp_when_none_can_be_had():
    reasons, made = [], []

    def once(data):
        made.append(data)
        return PKI.official.sign(data)

    pdf = sign(
        signer=replace(PKI.official, sign=once),
        timestamper=Timestamper(unreachable, 4096),
        without_time_stamp=reasons.append,
    )

    assert [type(reason) for reason in reasons] == [TimestampUnavailable]
    assert len(made) == 1
    assert not attributes(only_signature(pdf), "unsigned_attrs")


def test_a_token_larger_than_announced_is_told():
    with pytest.raises(SignatureDoesNotFit):
        sign(timestamper=replace(TIMESTAMPER, token_size=100))


def test_a_signed_document_is_not_signed_again():
    with pytest.raises(AlreadySigned):
        sign(pdf=sign())


@pytest.mark.parametrize("pdf", [b"", b"%PDF-1.7\n", b"<html></html>", PDF[:-30]])
def test_what_is_no_pdf_is_not_signed(pdf):
    with pytest.raises(UnreadableDocument):
        sign(pdf=pdf)


def test_what_the_key_raises_passes_through():
    def broken(_data):
        raise RuntimeError("the token was pulled out")

    with pytest.raises(RuntimeError, match="pulled out"):
        sign(signer=replace(PKI.official, sign=broken))
