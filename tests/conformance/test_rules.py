"""veraPDF's rules for PDF/A-3a and PDF/UA-1 over what the service issues, at every level of PAdES."""

import pytest
from conformance.verapdf import failed_rules
from extremes import EXTREMES
from specimens import LETTER

from signing.render import render_document

SAMPLE = ("reklame-insidentil", "sip-tenaga-kesehatan", LETTER)


def at_every_level(documents, levels):
    """The files by a name made of document and level."""
    return {
        f"{name}_{level}": pdf
        for name, document in documents.items()
        for level, pdf in levels(document).items()
    }


def test_permits_and_letters_follow_the_rules_at_every_level(tmp_path, specimens, levels):
    sample = {name: specimens[name] for name in SAMPLE}
    assert failed_rules(tmp_path, **at_every_level(sample, levels)) == []


@pytest.mark.proof
def test_every_permit_type_and_every_extreme_follows_the_rules_at_every_level(tmp_path, specimens, levels):
    assert len(specimens) == 9
    files = at_every_level(specimens | EXTREMES, levels)
    previews = {
        f"{name}_preview": render_document(document, preview=True) for name, document in specimens.items()
    }
    assert failed_rules(tmp_path, **files, **previews) == []
