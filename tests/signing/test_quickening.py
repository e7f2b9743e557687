"""What is quicker answers the same: the same value, at the same place in the file, or the same refusal."""

import inspect
import io
import string
from collections.abc import Callable
from pathlib import Path

import pytest
from asn1crypto import x509
from hypothesis import given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils import generic

from signing import quickening
from signing.quickening import (
    QUICKER,
    equal_names,
    prepare_name,
    quicken_libraries,
    read_hex_string,
    read_name,
)

Read = Callable[[io.BytesIO], generic.PdfObject]
BYTES = st.binary(max_size=12)


def outcome(read: Read, content: bytes, start: int) -> tuple[object, ...]:
    stream = io.BytesIO(content)
    stream.seek(start)
    try:
        value = read(stream)
    except Exception as error:  # Whatever pyHanko raises for what is no string and no name.
        return type(error), str(error)
    return type(value), value, getattr(value, "original_bytes", None), stream.tell()


def require_the_same(quick: Read, slow: Read, content: bytes, start: int) -> None:
    assert outcome(quick, content, start) == outcome(slow, content, start)


@given(before=BYTES, digits=st.text(string.hexdigits, max_size=20), ends=st.booleans(), after=BYTES)
def test_digits_are_read_the_same(before: bytes, digits: str, ends: bool, after: bytes) -> None:
    content = before + b"<" + digits.encode() + b">" * ends + after
    require_the_same(read_hex_string, generic.read_hex_string_from_stream, content, len(before))


@given(before=BYTES, text=st.text("09afAFg \n\0%<", max_size=8), after=BYTES)
def test_what_is_not_only_digits_is_read_the_same(before: bytes, text: str, after: bytes) -> None:
    content = before + b"<" + text.encode() + b">" + after
    require_the_same(read_hex_string, generic.read_hex_string_from_stream, content, len(before))


@given(before=BYTES, name=st.text(string.printable, max_size=8), after=BYTES)
def test_a_name_is_read_the_same(before: bytes, name: str, after: bytes) -> None:
    content = before + b"/" + name.encode() + after
    require_the_same(read_name, generic.NameObject.read_from_stream, content, len(before))


@pytest.mark.parametrize("byte", range(256))
def test_a_name_with_any_byte_is_read_the_same(byte: int) -> None:
    for content in (b"/Na%cme 1", b"/Na#%02xme 1", b"/Name%c", b"%cName "):
        require_the_same(read_name, generic.NameObject.read_from_stream, content % byte, 0)


def test_a_file_that_is_not_in_memory_is_read_the_same(tmp_path: Path) -> None:
    path = tmp_path / "name"
    path.write_bytes(b"/Name ")
    with path.open("rb") as file:
        assert read_name(file) == "/Name"


TYPES = st.sampled_from(["common_name", "organization_name", "organizational_unit_name", "country_name"])
VALUES = st.sampled_from(
    [
        "Kota Contoh",
        "kota  contoh ",
        "KOTA CONTOH",
        "Kota\u00a0Contoh",
        "Ko\u00adta Contoh",
        "Kota",
        "ID",
        "\ue000",
    ]
)
PARTS = st.lists(st.tuples(TYPES, VALUES), min_size=1, max_size=2)


def name_of(parts: list[list[tuple[str, str]]]) -> x509.Name:
    """Make a name whose parts hold one value, or several, of one type or of several."""
    made = [
        x509.RelativeDistinguishedName(
            [
                {"type": kind, "value": x509.DirectoryString("utf8_string", x509.UTF8String(value))}
                for kind, value in part
            ]
        )
        for part in parts
    ]
    return x509.Name.load(x509.Name("", x509.RDNSequence(made)).dump())


NAMES = st.lists(PARTS, max_size=3).map(name_of)


@settings(max_examples=200)
@given(name=NAMES, other=NAMES)
def test_names_compare_the_same(name: x509.Name, other: x509.Name) -> None:
    held, other_held = held_in_a_structure(name), held_in_a_structure(other)
    pairs = [(name, other), (other, name), (name, name), (name, name.copy()), (name, "Kota")]
    for pair in (*pairs, (name, held), (held, name), (held, other), (other, held), (held, other_held)):
        assert answer(equal_names, *pair) == answer(x509.Name.__eq__, *pair)
    for each in (name, held):
        assert answer(prepare_name, each) == answer(x509.Name.hashable.fget, each)


def held_in_a_structure(name: x509.Name) -> x509.Name:
    """Read the name where a tag of its own stands before it, as in a signature's ESSCertIDv2."""
    return x509.GeneralName.load(x509.GeneralName("directory_name", name).dump()).chosen


def answer(function: Callable[..., object], *arguments: object) -> object:
    """Call, and give the answer or the error: asn1crypto refuses what RFC 4518 §2.4 prohibits."""
    try:
        return function(*arguments)
    except ValueError as error:
        return str(error)


@pytest.fixture
def quickened(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quicken the libraries, and slow them down again after the test."""
    for owner, name, _ in QUICKER:
        monkeypatch.setattr(owner, name, inspect.getattr_static(owner, name))
    quicken_libraries()


@pytest.mark.usefixtures("quickened")
def test_the_libraries_use_what_is_quicker(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the slow function is used")

    for slow in ("_read_any_hex_string", "_read_any_name"):
        monkeypatch.setattr(quickening, slow, refuse)
    read = generic.read_object(
        io.BytesIO(b"<< /Name <30820b22> /Other /Value >>"), generic.TrailerReference(None)
    )
    assert read == {"/Name": bytes.fromhex("30820b22"), "/Other": "/Value"}

    name = name_of([[("common_name", "Kota Contoh")]])
    assert name == name_of([[("common_name", "KOTA  contoh")]]) != name_of([[("common_name", "Kota")]])
    before = quickening._compare_der.cache_info().hits
    assert name == name_of([[("common_name", "KOTA  contoh")]])
    assert quickening._compare_der.cache_info().hits == before + 1
