"""The XML report keeps the structure of the standard's schema, and says what the validation found.

The schema itself may not be kept here. pyHanko brings classes made from it: they say which elements there
are, in which order, and which must not be missing.
"""

import base64
import dataclasses
import hashlib
import typing
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from pki import NOW, issue, make_pki, throwaway_pki
from pyhanko.generated.etsi import ts_11910202
from signed_pages import HOUR, archive_page, extend_page, lists, one_page, sign_again, sign_page
from xsdata.formats.dataclass.parsers import XmlParser
from xsdata.formats.dataclass.parsers.config import ParserConfig

from keys import profiles
from keys.revocation import Revocation
from signing.etsi_report import write_report
from signing.policy import current_policy, state_policy
from signing.validate import validate_document

PKI = throwaway_pki()
LATER = NOW + 2 * HOUR
VR, DS, XADES = (
    "{http://uri.etsi.org/19102/v1.2.1#}",
    "{http://www.w3.org/2000/09/xmldsig#}",
    "{http://uri.etsi.org/01903/v1.3.2#}",
)
TIMED = sign_page(PKI.official, PKI.tsa)
LTA = archive_page(extend_page(TIMED), PKI.tsa)
POLICY = state_policy(current_policy(), PKI.trust_anchors)


def report_on(pdf, **options):
    report = validate_document(pdf, PKI.trust_anchors, at=LATER, detailed=True, **options)
    return write_report(report, POLICY, document_sha256=hashlib.sha256(pdf).hexdigest(), at=LATER)


def tree_of(pdf, **options):
    return ElementTree.fromstring(report_on(pdf, **options))


def texts(tree, path):
    return [each.text for each in tree.iterfind(path.replace("vr:", VR).replace("ds:", DS))]


# Its structure ------------------------------------------------------------------------------------


def kinds(annotation):
    """Give the class of a field's elements, if they have parts."""
    for each in (annotation, *typing.get_args(annotation)):
        if dataclasses.is_dataclass(each):
            return each
    return None


def check_structure(element, kind):
    """Walk an element by the class that was made from its type: order, number and attributes of its parts."""
    hints = typing.get_type_hints(kind)
    described = [field for field in dataclasses.fields(kind) if field.metadata.get("type") == "Element"]
    attributes = {
        field.metadata.get("name", field.name): field
        for field in dataclasses.fields(kind)
        if field.metadata.get("type") == "Attribute"
    }
    assert set(element.keys()) <= set(attributes), element.tag
    for name, field in attributes.items():
        assert element.get(name) or not field.metadata.get("required"), (element.tag, name)
    names = [field.metadata.get("name", field.name) for field in described]
    spaces = [field.metadata["namespace"] for field in described]
    qualified = [f"{{{space}}}{name}" for space, name in zip(spaces, names, strict=True)]
    tags = [child.tag for child in element]
    assert set(tags) <= set(qualified), (element.tag, tags)
    assert [tag for name in qualified for tag in tags if tag == name] == tags, f"{element.tag}: {tags}"
    for name, field in zip(qualified, described, strict=True):
        found = element.findall(name)
        # pyHanko's class asks for a representation of the document, the schema for that or its digest.
        if not name.endswith("SignersDocumentRepresentation"):
            assert len(found) >= field.metadata.get("min_occurs", 0), name
        assert found or not field.metadata.get("required"), (element.tag, name)
        assert len(found) <= 1 or typing.get_origin(hints[field.name]) is tuple, name
        inner = kinds(hints[field.name])
        for child in found:
            if inner:
                check_structure(child, inner)


def documents():
    stranger = make_pki()
    yield "B-B", sign_page(PKI.official)
    yield "B-T", TIMED
    yield "B-LTA", LTA
    yield "altered", LTA.replace(b"SURAT IZIN", b"SURAT 1ZIN")
    yield "a stranger's", sign_page(stranger.official, stranger.tsa)
    yield "two signatures", sign_again(TIMED, stranger.official, "Kedua")
    yield "no signature", one_page()
    yield "malformed", TIMED.replace(b"/ByteRange", b"/ByteRang3")


@pytest.mark.parametrize(("name", "pdf"), list(documents()), ids=[name for name, _ in documents()])
def test_the_report_has_the_structure_of_the_schema(name, pdf):
    revoked = Revocation(PKI.official.certificate.serial_number, NOW + HOUR)
    for options in ({}, {"crls": lists(LATER, revoked)}):
        text = report_on(pdf, **options)
        tree = ElementTree.fromstring(text)

        assert tree.tag == f"{VR}ValidationReport"
        check_structure(tree, ts_11910202.ValidationReport)
        strict = ParserConfig(fail_on_unknown_properties=True, fail_on_converter_warnings=True)
        assert XmlParser(config=strict).from_string(text, ts_11910202.ValidationReport)
        identifiers = [each.get("id") for each in tree.iter(f"{VR}ValidationObject")]
        assert len(identifiers) == len(set(identifiers))
        assert {each.get("VOReference") for each in tree.iter() if each.get("VOReference")} <= set(
            identifiers
        )


def test_a_structure_that_is_wrong_is_noticed():
    tree = tree_of(TIMED)
    signature = tree[0]
    moved = signature[0]
    signature.remove(moved)
    signature.append(moved)
    with pytest.raises(AssertionError):
        check_structure(tree, ts_11910202.ValidationReport)
    signature.remove(signature.find(f"{VR}SignatureValidationStatus"))
    with pytest.raises(AssertionError):
        check_structure(tree, ts_11910202.ValidationReport)


# What it says -------------------------------------------------------------------------------------


def test_the_report_says_what_was_found():
    tree = tree_of(LTA)
    signature = tree.find(f"{VR}SignatureValidationReport")
    status = "vr:SignatureValidationStatus/vr:"

    assert texts(signature, f"{status}MainIndication") == ["urn:etsi:019102:mainindication:total-passed"]
    assert texts(signature, f"{status}SubIndication") == []
    assert texts(signature, ".//vr:SignatureValidationProcessID") == ["urn:etsi:019102:validationprocess:LTA"]
    assert texts(signature, "vr:ValidationTimeInfo/vr:ValidationTime") == ["2026-11-23T05:00:00Z"]
    assert texts(signature, ".//vr:BestSignatureTime/vr:POETime") == ["2026-11-23T03:00:00Z"]
    assert texts(signature, ".//vr:SignatureTimeStamp/vr:TimeStampValue") == ["2026-11-23T03:00:00Z"]
    assert texts(signature, ".//vr:DocTimeStamp/vr:TimeStampValue") == ["2026-11-23T04:00:00Z"]
    assert texts(signature, "vr:SignerInformation/vr:Signer") == ["Kepala Dinas Contoh"]
    digest = signature.find(f".//{XADES}SigPolicyHash/{DS}DigestValue").text
    assert base64.b64decode(digest).hex() == POLICY.sha256
    ders = {base64.b64decode(text) for text in texts(tree, ".//vr:ValidationObject//vr:base64")}
    for key in (PKI.official, PKI.issuing, PKI.root, PKI.tsa):
        assert key.certificate.public_bytes(Encoding.DER) in ders
    document = tree.find(f".//{VR}ValidationObject[@id='document']//{DS}DigestValue").text
    assert base64.b64decode(document) == hashlib.sha256(LTA).digest()


def test_each_check_is_a_constraint_and_one_that_failed_says_so():
    tree = tree_of(TIMED + b"\n")
    constraints = {
        each.find(f"{VR}ValidationConstraintIdentifier").text.rpartition(":")[2]: texts(
            each, "vr:ValidationStatus/vr:MainIndication"
        )
        for each in tree.iter(f"{VR}ValidationConstraint")
    }

    assert constraints["coverage"] == ["urn:etsi:019102:mainindication:failed"]
    assert constraints["integrity"] == ["urn:etsi:019102:mainindication:passed"]
    assert constraints["revocation"] == []
    assert texts(tree, "vr:SignatureValidationReport/vr:SignatureValidationStatus/vr:SubIndication") == [
        "urn:etsi:019102:subindication:FORMAT_FAILURE"
    ]


def test_a_revocation_is_told_with_its_day_and_its_list():
    crls = lists(LATER, Revocation(PKI.official.certificate.serial_number, NOW + HOUR))
    tree = tree_of(TIMED, crls=crls)

    told = tree.find(f".//{VR}RevocationStatusInformation")
    assert texts(told, "vr:RevocationTime") == ["2026-11-23T04:00:00Z"]
    listed = told.find(f"{VR}RevocationObject").get("VOReference")
    assert listed == f"rev-{hashlib.sha256(crls[0]).hexdigest()}"


def test_a_strangers_words_cannot_break_the_xml():
    signer = issue(profiles.OFFICIAL, "<b>&\x01 Budi\ufffe ]]>", PKI.issuing, NOW - timedelta(days=1))

    tree = tree_of(sign_page(signer))

    assert texts(tree, ".//vr:Signer") == ["<b>&\ufffd Budi\ufffd ]]>"]
