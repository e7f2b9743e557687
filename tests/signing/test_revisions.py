"""Reading less of a document passes nothing that reading all of it would not."""

import io
import random
import struct
import zlib
from collections.abc import Callable
from datetime import timedelta

import pikepdf
import pytest
from attacks.surgery import Anatomy, Variants, dissect
from attacks.surroundings import metadata, tails_and_polyglots, validation_data
from attacks.updates import incremental_saving, shadow_hide, shadow_hide_and_replace, shadow_replace
from documents import PERMIT
from pki import NOW, throwaway_pki
from pyhanko.pdf_utils.reader import HistoricalResolver, PdfFileReader
from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, DiffPolicy, DiffResult
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from signed_pages import DAY, archive_page, extend_page, lists, one_page, sign_again

from keys.timestamp import local_timestamper
from signing.extend import add_archive_timestamp
from signing.render import render_document
from signing.revisions import UpdatePolicy
from signing.sign import sign_document

PKI = throwaway_pki()
UPDATES: tuple[Callable[[Anatomy], Variants], ...] = (
    incremental_saving, shadow_hide, shadow_replace, shadow_hide_and_replace, metadata, validation_data,
    tails_and_polyglots,
)  # fmt: skip
SAMPLE = 3


def archived(page: bytes, renewals: int = 0) -> bytes:
    timestamper = local_timestamper(PKI.tsa, lambda: NOW)
    pdf = extend_page(sign_document(page, PKI.official, signed_at=NOW, timestamper=timestamper))
    for days in range(1 + renewals):
        pdf = archive_page(pdf, PKI.tsa, NOW + timedelta(hours=1) + days * DAY)
    return pdf


PERMIT_PDF = archived(render_document(PERMIT))


def signature_of(pdf: bytes) -> EmbeddedPdfSignature:
    return PdfFileReader(io.BytesIO(pdf), strict=True).embedded_regular_signatures[0]


def judged(pdf: bytes, policy: DiffPolicy) -> str:
    """Name the level that a policy finds, or what made it stop."""
    try:
        signature = signature_of(pdf)
        signature.compute_integrity_info(policy)
    except Exception as error:  # What a forged file makes the parsers raise.
        return type(error).__name__
    found = signature.diff_result
    return found.modification_level.name if isinstance(found, DiffResult) else "OTHER"


@pytest.mark.parametrize("renewals", [0, 2])
def test_archiving_is_judged_without_reading_what_was_signed(
    renewals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_revision: HistoricalResolver) -> None:
        raise AssertionError("the signed revision is read")

    pdf = archived(render_document(PERMIT), renewals)
    monkeypatch.setattr(HistoricalResolver, "_load_reverse_xref_cache", read)

    assert judged(pdf, UpdatePolicy()) == "LTA_UPDATES"
    assert judged(pdf, DEFAULT_DIFF_POLICY) == "AssertionError"


def variants_of(attack: Callable[[Anatomy], Variants]) -> list[tuple[str, bytes]]:
    return list(attack(dissect(PERMIT_PDF)))


def require_the_same(variants: list[tuple[str, bytes]]) -> None:
    found = {name: (judged(pdf, UpdatePolicy()), judged(pdf, DEFAULT_DIFF_POLICY)) for name, pdf in variants}
    assert {name: each for name, each in found.items() if each[0] != each[1]} == {}


@pytest.mark.parametrize("attack", UPDATES)
def test_an_attack_is_judged_as_with_everything_read(attack: Callable[[Anatomy], Variants]) -> None:
    require_the_same(random.Random(20261125).sample(variants_of(attack), SAMPLE))


@pytest.mark.proof
@pytest.mark.parametrize("attack", UPDATES)
def test_every_attack_is_judged_as_with_everything_read(attack: Callable[[Anatomy], Variants]) -> None:
    require_the_same(variants_of(attack))


def archived_elsewhere(page: bytes) -> bytes:
    """Sign and archive as other houses may: without a certification, and with pyHanko's own writer."""
    return add_archive_timestamp(
        sign_again(page, PKI.official, "Signature1"),
        timestamper=local_timestamper(PKI.tsa, lambda: NOW),
        certificates=[PKI.official.certificate, PKI.issuing.certificate],
        crls=lists(NOW),
    )


def with_a_form_apart(*, shown: bool) -> bytes:
    """Make a page whose form is an object apart, which the page uses too if it is `shown`."""
    output = io.BytesIO()
    with pikepdf.open(io.BytesIO(one_page())) as document:
        document.Root.AcroForm = document.make_indirect(pikepdf.Dictionary(Fields=[]))
        if shown:
            document.pages[0].obj.PieceInfo = document.Root.AcroForm
        document.save(output)
    return output.getvalue()


def test_a_form_that_is_an_object_apart_may_grow() -> None:
    """Here pyHanko must read what was signed, to know that nothing else uses the form."""
    assert judged(archived_elsewhere(with_a_form_apart(shown=False)), UpdatePolicy()) == "LTA_UPDATES"


def test_a_form_that_the_page_uses_too_may_not() -> None:
    assert judged(archived_elsewhere(with_a_form_apart(shown=True)), UpdatePolicy()) == "OTHER"


CATALOGUE = b"<< /Type /Catalog /Pages 6 0 R /AcroForm << /Fields [] >> >>"


def with_fonts(written: bytes) -> bytes:
    """Make a page some of whose fonts, named as `written`, are not there yet: an update could bring them."""
    page = one_page()
    out, places = page, b""
    for number, text in {1: fonts(written), 4: CATALOGUE}.items():
        places += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, text)
    trailer = b"trailer\n<< /Root 4 0 R /Size 8 /Prev %d >>\nstartxref\n%d\n%%%%EOF\n"
    return out + b"xref\n" + places + trailer % (page.index(b"xref"), len(out))


def with_fonts_in_a_stream(written: bytes) -> bytes:
    """Make the same page, with its fonts in an object stream."""
    page = one_page()
    inner = b"1 0 " + fonts(written)
    form = b"<< /Type /ObjStm /N 1 /First 4 /Filter /FlateDecode /Length %d >>\nstream\n%b\nendstream"
    packed = zlib.compress(inner)
    out, entries = page, struct.pack(">BIB", 2, 8, 0)
    for number, text in {4: CATALOGUE, 8: form % (len(packed), packed)}.items():
        entries += struct.pack(">BIB", 1, len(out), 0)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, text)
    entries += struct.pack(">BIB", 1, len(out), 0)
    table = b"<< /Type /XRef /W [1 4 1] /Index [1 1 4 1 8 2] /Root 4 0 R /Size 10 /Prev %d /Length %d >>"
    return out + b"9 0 obj\n%b\nstream\n%b\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % (
        table % (page.index(b"xref"), len(entries)), entries, len(out),
    )  # fmt: skip


def fonts(written: bytes) -> bytes:
    return b"<< /F1 2 0 R /F2 [%b] >>" % b" ".join(written % number for number in range(8, 40))


@pytest.mark.parametrize(
    "written",
    [b"%d 0 R", b"0%d\t0\r\nR", b"%d%% 0 0\n 0%%\nR", b"%d\0000 R", b"+%d 0 R", b"%d.0 0 R", b"%de0 0 R"],
)
def test_an_update_may_not_bring_what_was_missing(written: bytes) -> None:
    require_refused(archived_elsewhere(with_fonts(written)))


def test_nor_may_it_where_references_are_compressed() -> None:
    require_refused(archived_elsewhere(with_fonts_in_a_stream(b"%d 0 R")))


def require_refused(pdf: bytes) -> None:
    assert judged(pdf, UpdatePolicy()) == judged(pdf, DEFAULT_DIFF_POLICY) != "LTA_UPDATES"


@pytest.mark.parametrize("made", [with_fonts, with_fonts_in_a_stream])
def test_where_nothing_is_missing_an_update_passes(made: Callable[[bytes], bytes]) -> None:
    assert judged(archived_elsewhere(made(b"%d")), UpdatePolicy()) == "LTA_UPDATES"
