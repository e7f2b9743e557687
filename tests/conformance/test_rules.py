"""veraPDF's rules for PDF/A-3a and PDF/UA-1 over what the service issues, at every level of PAdES."""

import io

import pytest
from conformance.verapdf import failed_rules
from extremes import EXTREMES
from reportlab.pdfgen.canvas import Canvas
from specimens import LETTER, verification_receipt

from signing.render import render_document

SAMPLE = ("reklame-insidentil", "sip-tenaga-kesehatan", LETTER)


def at_every_level(documents, levels):
    """The files by a name made of document and level."""
    return {
        f"{name}_{level}": pdf
        for name, document in documents.items()
        for level, pdf in levels(document).items()
    }


def previews(documents):
    return {
        f"{name}_preview": render_document(document, preview=True) for name, document in documents.items()
    }


def untagged():
    buffer = io.BytesIO()
    canvas = Canvas(buffer)
    canvas.drawString(72, 720, "Tanpa struktur")
    canvas.save()
    return buffer.getvalue()


def test_permits_and_letters_follow_the_rules_at_every_level(tmp_path, specimens, levels):
    sample = {name: specimens[name] for name in SAMPLE}
    files = at_every_level(sample, levels) | previews({LETTER: specimens[LETTER]})
    files["receipt"] = render_document(verification_receipt())
    files |= {name: render_document(EXTREMES[name]) for name in ("long_words", "two_pages")}
    # One start of Java for all; the page without a structure shows that the rules are applied.
    failures = failed_rules(tmp_path, **files, untagged=untagged())
    assert [failure for failure in failures if not failure.startswith("untagged")] == []
    assert {failure.split("\t")[1] for failure in failures} == {"3a", "ua1"}


@pytest.mark.proof
def test_every_permit_type_and_every_extreme_follows_the_rules_at_every_level(tmp_path, specimens, levels):
    assert len(specimens) == 9
    files = at_every_level(specimens | EXTREMES, levels) | previews(specimens | EXTREMES)
    assert failed_rules(tmp_path, **files) == []
