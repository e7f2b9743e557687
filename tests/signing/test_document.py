import json
from dataclasses import replace

import pytest
from documents import PERMIT, REJECTION_LETTER

from signing.document import NATIONAL_FOOTER, PermitDocument, canonical_json


@pytest.mark.parametrize(
    "document",
    [PERMIT, REJECTION_LETTER, replace(PERMIT, number=None, code=None, verify_url=None, issued_on=None)],
)
def test_a_document_survives_the_database(document):
    stored = json.loads(canonical_json(document.to_json()))
    assert PermitDocument.from_json(stored) == document


def test_equal_values_have_equal_canonical_bytes():
    assert (
        canonical_json({"b": 1, "a": "é"}) == canonical_json({"a": "é", "b": 1}) == '{"a":"é","b":1}'.encode()
    )


def test_infinities_have_no_canonical_bytes():
    with pytest.raises(ValueError, match="Out of range"):
        canonical_json({"fee": float("inf")})


def test_a_document_of_another_format_is_refused():
    with pytest.raises(ValueError, match="format 2"):
        PermitDocument.from_json(PERMIT.to_json() | {"format": 2})


def test_an_unknown_block_is_refused():
    with pytest.raises(ValueError, match="unknown block 'table'"):
        PermitDocument.from_json(PERMIT.to_json() | {"body": [{"type": "table"}]})


def test_a_sample_cannot_claim_the_national_authority():
    with pytest.raises(ValueError, match="national authority"):
        replace(PERMIT, footer_legal=NATIONAL_FOOTER)
