"""The composed documents of all permit types, and the data attached to them."""

import io
import json
from datetime import date, datetime
from typing import Any

import cases
import pikepdf
import pytest
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator
from pikepdf import Name
from specimens import LETTER, PRINTING, reserve_specimens
from sqlmodel import Session

from service.applications.models import Application
from service.catalogue.display import display_value, long_date
from service.catalogue.format import Field, PermitType
from service.permits.compose import DATA_SCHEMA, DATA_SCHEMA_PATH
from service.permits.models import Permit
from signing.document import Facts, NumberedList, Paragraph, PermitDocument
from signing.render import render_document


@pytest.fixture
def reserved(session: Session, now: datetime) -> dict[str, Permit]:
    return reserve_specimens(session, now)


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    content = json.loads(DATA_SCHEMA.read_text())
    Draft202012Validator.check_schema(content)
    return Draft202012Validator(content)


def types() -> dict[str, PermitType]:
    return {permit_type.slug: permit_type for permit_type in cases.catalogue().permit_types}


def document_of(permit: Permit) -> PermitDocument:
    return PermitDocument.from_json(permit.document)


def attached(permit: Permit) -> dict[str, Any]:
    """What the PDF carries as permit.json."""
    with pikepdf.open(io.BytesIO(render_document(document_of(permit)))) as pdf:
        (specification,) = pdf.Root.AF
        assert specification.AFRelationship == Name.Data
        assert specification.EF.F.Subtype == Name("/application/json")
        data: dict[str, Any] = json.loads(pdf.attachments["permit.json"].get_file().read_bytes())
    return data


def printed(document: PermitDocument) -> str:
    """The words of the page in lower case."""
    words = [document.title, document.number or "", document.validity or ""]
    for block in document.body:
        match block:
            case Paragraph(text):
                words.append(text)
            case Facts(rows):
                words += [value for _, value in rows]
            case NumberedList(items):
                words += items
    return "\n".join(words).lower()


def test_every_attachment_follows_the_published_schema(
    reserved: dict[str, Permit], schema: Draft202012Validator
) -> None:
    assert len(reserved) == 9
    for name, permit in reserved.items():
        data = attached(permit)
        assert list(schema.iter_errors(data)) == [], name
        assert data["$schema"] == PRINTING.base_url + DATA_SCHEMA_PATH


@pytest.mark.parametrize(
    "change",
    [
        {"nik": "3375014708900000"},
        {"number": None},
        {"code": "7KQ2M 9XD4T BVWHR 38ZNC PF6A1 E"},
        {"issued_on": "23 November 2026"},
        {"kind": "rejection_letter"},
        {"facts": {"holder": {"nik": "3375014708900000"}}},
        {"$schema": "https://izin.contoh.invalid/schemas/permit-2.json"},
    ],
)
def test_the_schema_refuses_other_data(
    reserved: dict[str, Permit], schema: Draft202012Validator, change: dict[str, Any]
) -> None:
    data = document_of(reserved[cases.SLUG]).data
    assert schema.is_valid(data)
    assert not schema.is_valid({**data, **change})
    assert not any(schema.is_valid({key: data[key] for key in data if key != left}) for left in data)


def test_the_schema_is_published_where_documents_say(client: TestClient) -> None:
    answer = client.get(DATA_SCHEMA_PATH)
    assert answer.headers["content-type"] == "application/schema+json"
    assert "immutable" in answer.headers["cache-control"]
    assert answer.json() == json.loads(DATA_SCHEMA.read_text())
    assert answer.json()["$id"] == DATA_SCHEMA_PATH


def test_the_attached_facts_are_those_printed(reserved: dict[str, Permit]) -> None:
    for name, permit in reserved.items():
        document, data = document_of(permit), attached(permit)
        words = printed(document)
        assert data["number"] == document.number
        assert data["code"] == (document.code or "").replace(" ", "")
        assert data["issued_on"] == str(document.issued_on)
        if data["valid_until"]:
            assert long_date(date.fromisoformat(data["valid_until"]), "id").lower() in words, name
        for key, value in data["facts"].items():
            assert shown(types()[name].fields[key], value) in words, (name, key)


def shown(field: Field, value: Any) -> str:
    """How the page writes a value; it may spell out a unit."""
    return display_value(field.model_copy(update={"unit": None}), value, "id").lower()


def test_nothing_private_is_attached(session: Session, reserved: dict[str, Permit]) -> None:
    for name, permit in reserved.items():
        values = session.get_one(Application, permit.application_id).values
        public = set() if name == LETTER else set(types()[permit.slug].public_fields)
        data = attached(permit)
        assert data["facts"].keys() <= public
        known = {str(values[key]) for key in public if key in values}
        secret = {str(value) for key, value in values.items() if key not in public} - known
        facts = json.dumps(data["facts"], ensure_ascii=False)
        assert [value for value in secret if len(value) > 4 and f'"{value}"' in facts] == []
        assert values["nik"] not in json.dumps(data)


def test_a_preview_carries_no_data(reserved: dict[str, Permit]) -> None:
    preview = render_document(document_of(reserved[cases.SLUG]), preview=True)
    with pikepdf.open(io.BytesIO(preview)) as pdf:
        assert not pdf.attachments
        assert "/AF" not in pdf.Root
