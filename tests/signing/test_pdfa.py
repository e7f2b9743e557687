import io
from dataclasses import replace

from conformance.verapdf import failed_rules
from documents import PERMIT, REJECTION_LETTER, permit_with_conditions
from pki import NOW, throwaway_pki
from pypdfium2 import PdfDocument
from reportlab.pdfgen.canvas import Canvas

from keys.timestamp import local_timestamper
from signing.render import render_document
from signing.sign import sign_document


def test_pages_are_pdfa_3a_and_pdf_ua_before_and_after_signing(tmp_path):
    pki = throwaway_pki()
    permit = render_document(PERMIT)
    signed = sign_document(
        permit, pki.official, signed_at=NOW, timestamper=local_timestamper(pki.tsa, lambda: NOW)
    )
    long = render_document(permit_with_conditions(12))
    assert len(PdfDocument(long)) == 2
    failures = failed_rules(
        tmp_path,
        permit=permit,
        signed=signed,
        rejection_letter=render_document(REJECTION_LETTER),
        long=long,
        preview=render_document(replace(PERMIT, number=None), preview=True),
    )
    assert failures == []


def test_the_rules_tell_a_page_that_is_not_tagged(tmp_path):
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawString(72, 720, "Tanpa struktur")
    canvas.save()
    failures = failed_rules(tmp_path, untagged=buffer.getvalue())
    assert any("ua1" in failure for failure in failures)
    assert any("3a" in failure for failure in failures)
