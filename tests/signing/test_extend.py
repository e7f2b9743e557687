import hashlib
import io
import random
import shutil
import subprocess
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import cms
from conformance.verapdf import failed_rules
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from documents import PERMIT
from pki import NOW, issue, make_pki, throwaway_pki
from postgres import require
from pyhanko.pdf_utils.reader import PdfFileReader
from signed_pages import DAY, HOUR, chain, lists, one_page, turn_page

from keys import profiles
from keys.algorithms import generate_key
from keys.authority import Subject, create_root, issue_certificate
from keys.revocation import Revocation
from keys.timestamp import Timestamper, local_timestamper
from signing.errors import NothingToExtend, SignatureDoesNotFit, TimestampUnavailable, UnreadableDocument
from signing.extend import _add_validation_data, _open, add_archive_timestamp, extend_to_lt
from signing.render import render_document
from signing.sign import sign_document
from signing.validate import Indication, validate_document

PKI = throwaway_pki()
YEAR = timedelta(days=365)


def stamper(key=PKI.tsa, moment=NOW):
    return local_timestamper(key, lambda: moment)


def sign(pdf, stamped=True):
    return sign_document(pdf, PKI.official, signed_at=NOW, timestamper=stamper() if stamped else None)


def extend(pdf, crls=None, **options):
    certificates = chain(PKI.official, PKI.tsa, PKI.issuing)
    return extend_to_lt(pdf, certificates=certificates, crls=lists(NOW) if crls is None else crls, **options)


def archive(pdf, key=PKI.tsa, moment=NOW + HOUR, **validation_data):
    return add_archive_timestamp(pdf, timestamper=stamper(key, moment), **validation_data)


def validate(pdf, at=NOW + 2 * HOUR, crls=(), trust_anchors=PKI.trust_anchors):
    return validate_document(pdf, trust_anchors, at=at, crls=crls)


def passes(pdf):
    try:
        return validate(pdf).indication == Indication.TOTAL_PASSED
    except UnreadableDocument:
        return False


SIGNED = sign(one_page())
LT = extend(SIGNED)
LTA = archive(LT)


@pytest.mark.parametrize(("pdf", "level"), [(SIGNED, "B-T"), (LT, "B-LT"), (LTA, "B-LTA")])
def test_each_level_is_told_and_passes(pdf, level):
    report = validate(pdf)

    assert (report.indication, report.reasons) == (Indication.TOTAL_PASSED, ())
    assert report.signature.level == level
    assert report.signature.timestamped_at == NOW
    assert report.signature.coverage_entire_file == (level != "B-LT")
    assert report.signature.docmdp_ok


def test_extending_keeps_every_byte():
    assert LT.startswith(SIGNED)
    assert LTA.startswith(LT)


def test_the_vri_names_the_signature():
    reader = PdfFileReader(io.BytesIO(LT))
    _, before, after, _ = reader.embedded_signatures[0].byte_range

    assert list(reader.root["/DSS"]["/VRI"]) == [
        "/" + hashlib.sha1(LT[before + 1 : after - 1]).hexdigest().upper()
    ]


def test_a_dss_without_revocation_is_no_b_lt():
    report = validate(extend(SIGNED, crls=[]))

    assert (report.indication, report.signature.level) == (Indication.TOTAL_PASSED, "B-T")


def test_ocsp_responses_are_kept_too():
    private = generate_key("p256")
    responder = issue_certificate(
        profiles.OCSP_RESPONDER, Subject("OCSP (UJI)"), private.public_key(), PKI.issuing, now=NOW - HOUR
    )
    good = ocsp.OCSPCertStatus.GOOD
    response = (
        ocsp.OCSPResponseBuilder()
        .add_response(*chain(PKI.official, PKI.issuing), SHA256(), good, NOW, NOW + DAY, None, None)
        .responder_id(ocsp.OCSPResponderEncoding.HASH, responder)
        .certificates([responder])
        .sign(private, SHA256())
        .public_bytes(Encoding.DER)
    )

    pdf = extend(SIGNED, ocsp_responses=[response])

    store = PdfFileReader(io.BytesIO(pdf)).root["/DSS"]
    assert [each.get_object().data for each in store["/OCSPs"]] == [response]
    assert responder.public_bytes(Encoding.DER) in [each.get_object().data for each in store["/Certs"]]
    assert validate(archive(pdf)).indication == Indication.TOTAL_PASSED


@pytest.mark.parametrize("pdf", [one_page(), sign(one_page(), stamped=False)], ids=["unsigned", "B-B"])
def test_without_a_time_stamped_signature_there_is_nothing_to_extend(pdf):
    with pytest.raises(NothingToExtend):
        extend(pdf)


def test_a_signature_without_a_time_stamp_is_proven_by_the_archive_time_stamp():
    """EN 319 142-1 §6.3: a document time stamp gives the trusted time where the signature has none."""
    archived = archive(sign(one_page(), stamped=False), certificates=chain(PKI.issuing), crls=lists(NOW))
    end = PKI.official.certificate.not_valid_after_utc

    report = validate(archived)
    later = validate(archived, at=end + DAY, crls=lists(end + DAY))

    assert (report.indication, report.reasons) == (Indication.TOTAL_PASSED, ())
    assert (report.signature.level, report.signature.timestamped_at) == ("B-LTA", NOW + HOUR)
    assert (later.indication, later.signature.level) == (Indication.TOTAL_PASSED, "B-LTA")


def test_a_signature_whose_signer_was_revoked_before_it_was_stamped_proves_nothing():
    revoked = Revocation(PKI.official.certificate.serial_number, NOW + HOUR / 2)
    known, pdf = lists(NOW + HOUR, revoked), sign(one_page(), stamped=False)

    known_then, known_late = (
        archive(pdf, certificates=chain(PKI.issuing), crls=each) for each in (known, lists(NOW))
    )

    assert validate(known_then, crls=known).indication == Indication.INDETERMINATE
    assert validate(known_late, crls=known).sub_indication == "REVOKED_NO_POE"


def test_validation_data_that_no_time_stamp_covers_make_no_b_lta():
    archived = archive(sign(one_page(), stamped=False), certificates=chain(PKI.issuing))
    writer, _ = _open(archived)
    signature = PdfFileReader(io.BytesIO(archived)).embedded_regular_signatures[0]
    _add_validation_data(writer, archived, signature, (), lists(NOW), ())
    output = io.BytesIO()
    writer.write(output)

    assert validate(archived).signature.level == "B-T"
    assert validate(output.getvalue()).signature.level == "B-LT"


def test_the_authority_of_another_house_is_trusted_for_time_alone():
    other = replace(PKI, root=create_root(Subject("Luar Root CA (UJI)"), generate_key(), now=NOW - DAY))
    other = replace(other, issuing=issue(profiles.ISSUING_CA, "Luar CA (UJI)", other.root, NOW - DAY))
    archived = archive(LT, issue(profiles.TSA, "Luar TSA (UJI)", other.issuing, NOW - DAY))
    known = [*lists(NOW), *lists(NOW, pki=other)]

    def judge(trust_anchors, *time_anchors):
        at = NOW + 2 * HOUR
        return validate_document(
            archived, trust_anchors, at=at, crls=known, time_anchors=time_anchors
        ).indication

    root, between = other.root.certificate, other.issuing.certificate
    assert judge(PKI.trust_anchors) == Indication.INDETERMINATE
    assert judge(PKI.trust_anchors, root) == Indication.INDETERMINATE
    assert judge(PKI.trust_anchors, between) == Indication.INDETERMINATE
    assert judge(PKI.trust_anchors, root, between) == Indication.TOTAL_PASSED
    assert judge((), root, between, *PKI.trust_anchors) == Indication.INDETERMINATE


@pytest.mark.parametrize("pdf", [one_page(), SIGNED], ids=["unsigned", "B-T"])
def test_without_validation_data_there_is_nothing_to_archive(pdf):
    with pytest.raises(NothingToExtend):
        archive(pdf)


def test_what_is_no_pdf_is_not_extended():
    with pytest.raises(UnreadableDocument):
        extend(b"<html></html>")


def test_an_archive_time_stamp_over_something_else_is_refused():
    with pytest.raises(TimestampUnavailable):
        add_archive_timestamp(LT, timestamper=Timestamper(lambda _: stamper().stamp(bytes(32)), 4096))


def test_an_archive_time_stamp_larger_than_announced_is_told():
    with pytest.raises(SignatureDoesNotFit):
        add_archive_timestamp(LT, timestamper=replace(stamper(), token_size=100))


@pytest.mark.parametrize("key", [make_pki().tsa, PKI.seal], ids=["a stranger", "no authority"])
def test_an_archive_time_stamp_of_anyone_else_does_not_pass(key):
    assert validate(archive(LT, key)).indication == Indication.INDETERMINATE


def test_archive_time_stamps_out_of_order_do_not_pass():
    earlier = archive(LTA, moment=NOW - HOUR)

    assert validate(earlier).sub_indication == "TIMESTAMP_ORDER_FAILURE"


@pytest.mark.parametrize("pdf", [LT, LTA], ids=["B-LT", "B-LTA"])
@pytest.mark.parametrize("tail", [b"\n", b"\0", b"% catatan\n%%EOF\n", b"99 0 obj\n(sisip)\nendobj\n"])
def test_bytes_after_the_end_fail(pdf, tail):
    assert not passes(pdf + tail)


def test_bytes_between_the_objects_of_an_update_fail():
    """The offset of the table moves with them, so that every reader still finds it."""
    start = LT.rindex(b"xref\n0 ")
    hidden = b"% sisipan\n"
    moved = LT[start:].replace(b"startxref\n%d" % start, b"startxref\n%d" % (start + len(hidden)))

    report = validate(LT[:start] + hidden + moved)

    assert (report.indication, report.reasons) == (Indication.TOTAL_FAILED, ("not_whole_file",))


@pytest.mark.parametrize("pdf", [LT, LTA], ids=["B-LT", "B-LTA"])
def test_no_other_update_passes(pdf):
    report = validate(turn_page(pdf))

    assert report.indication == Indication.TOTAL_FAILED
    assert {"not_whole_file", "modified_after_signing", "certification_violated"} <= set(report.reasons)


def test_an_archive_time_stamp_heals_no_other_update():
    assert validate(archive(extend(turn_page(SIGNED)))).indication == Indication.TOTAL_FAILED


def test_no_bit_under_an_archive_time_stamp_can_flip_unnoticed():
    """A hundred bits drawn from what was added, and some digits of all parts of the time stamp."""
    draw = random.Random(503)
    positions = [(draw.randrange(len(SIGNED), len(LTA)), 1 << draw.randrange(8)) for _ in range(100)]
    gap = LTA.rindex(b"/Contents <") + len(b"/Contents <")
    positions += [(position, 1) for position in range(gap, LTA.index(b">", gap), 41)]
    assert passes(LTA)

    for position, bit in positions:
        altered = bytearray(LTA)
        altered[position] ^= bit
        assert not passes(bytes(altered)), (position, bit)


@pytest.mark.parametrize("name", [b"/SubFilter /ETSI.RFC3161", b"/Type /DocTimeStamp"])
def test_an_archive_time_stamp_cannot_be_made_unknown_unnoticed(name):
    """pyHanko passes over a signature whose kind it does not know."""
    start = LTA.rindex(name)

    for position in range(start, start + len(name) + 1):
        for bit in range(8):
            altered = bytearray(LTA)
            altered[position] ^= 1 << bit
            assert not passes(bytes(altered)), (position - start, bit)


def test_stale_validation_data_proves_nothing_until_fresh_data_is_added():
    later = NOW + 3 * DAY
    stale = archive(LT, moment=later)
    fresh = archive(LT, moment=later, certificates=chain(PKI.issuing), crls=lists(later))

    assert validate(stale, at=later + HOUR, crls=lists(later)).indication == Indication.INDETERMINATE
    assert validate(fresh, at=later + HOUR, crls=lists(later)).indication == Indication.TOTAL_PASSED


@pytest.mark.parametrize("moment", [NOW - HOUR, NOW], ids=["before", "at once"])
def test_a_revocation_before_signing_speaks_against_it_however_late_it_is_known(moment):
    late = lists(NOW + DAY, Revocation(PKI.official.certificate.serial_number, moment))

    report = validate(LTA, at=NOW + DAY, crls=late)

    assert (report.indication, report.sub_indication) == (Indication.INDETERMINATE, "REVOKED_NO_POE")


@pytest.mark.parametrize("known", [True, False], ids=["known then", "known late"])
@pytest.mark.parametrize(("day", "passes"), [(1, False), (3, True)], ids=["before", "after"])
def test_an_authority_revoked_before_the_renewal_proves_nothing(known, day, passes):
    """Whoever held its key then could have stamped any time; what a renewal took over before is safe."""
    revoked = Revocation(PKI.tsa.certificate.serial_number, NOW + day * DAY)
    renewal, later = NOW + 2 * DAY, NOW + 4 * DAY
    successor = issue(profiles.TSA, "TSA Kedua (UJI)", PKI.issuing, NOW)
    then = lists(renewal, *([revoked] if known and not passes else []))
    renewed = archive(LTA, successor, renewal, certificates=chain(PKI.issuing), crls=then)

    report = validate(renewed, at=later, crls=lists(later, revoked))

    assert (report.indication == Indication.TOTAL_PASSED) == passes


@pytest.mark.parametrize(("hours", "passes"), [(0.5, False), (2, True)], ids=["before", "after"])
def test_the_signatures_own_authority_must_hold_until_another_archives(hours, passes):
    """However late its revocation is known: the archive of an hour later is what took over."""
    successor = issue(profiles.TSA, "TSA Kedua (UJI)", PKI.issuing, NOW)
    late = lists(NOW + DAY, Revocation(PKI.tsa.certificate.serial_number, NOW + hours * HOUR))

    report = validate(archive(LT, successor), at=NOW + DAY, crls=late)

    assert report.sub_indication == (None if passes else "REVOKED_NO_POE")


def test_openssl_accepts_the_archive_time_stamp(tmp_path):
    require(shutil.which("openssl"), "openssl is not installed")
    stamp = PdfFileReader(io.BytesIO(LTA)).embedded_timestamp_signatures[0]
    _, before, after, _ = stamp.byte_range
    (tmp_path / "token").write_bytes(cms.ContentInfo.load(stamp.pkcs7_content).dump())
    (tmp_path / "data").write_bytes(LTA[:before] + LTA[after:])
    for name, key in (("root", PKI.root), ("issuing", PKI.issuing)):
        (tmp_path / name).write_bytes(key.certificate.public_bytes(Encoding.PEM))

    command = ["openssl", "ts", "-verify", "-token_in", "-in", "token", "-data", "data"]
    command += ["-CAfile", "root", "-untrusted", "issuing", "-attime", str(int(NOW.timestamp()))]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert "Verification: OK" in result.stdout


@pytest.mark.parametrize("pdf", [LT, LTA], ids=["B-LT", "B-LTA"])
def test_other_readers_find_the_signature_valid(tmp_path, pdf):
    require(shutil.which("pdfsig"), "pdfsig (poppler-utils) is not installed")
    require(shutil.which("mutool"), "mutool (mupdf-tools) is not installed")
    (tmp_path / "permit.pdf").write_bytes(pdf)

    poppler = subprocess.run(["pdfsig", "permit.pdf"], cwd=tmp_path, capture_output=True, text=True)
    mupdf = subprocess.run(
        ["mutool", "sign", "-v", "permit.pdf"], cwd=tmp_path, capture_output=True, text=True
    )

    assert "Signature is Valid." in poppler.stdout
    assert "Digest Mismatch" not in poppler.stdout
    # MuPDF tells an update from none, yet not a permitted one from others, and judges no document time stamp.
    assert "The signature is valid" in mupdf.stdout


def test_extended_permits_are_pdfa_3a_and_pdf_ua(tmp_path):
    extended = extend(sign(render_document(PERMIT)))
    archived = archive(extended)
    renewed = archive(archived, crls=lists(NOW + HOUR))

    assert failed_rules(tmp_path, extended=extended, archived=archived, renewed=renewed) == []


@pytest.mark.slow
def test_a_permit_outlives_its_signer_its_certificates_and_its_authorities():
    """Renewed every four years for thirty-two, over a new hierarchy, of the same names, every eight.

    The signer's certificate is revoked ten days after signing and ends after two years, an issuing
    authority after ten, a root after twenty.
    """
    revocation = Revocation(PKI.official.certificate.serial_number, NOW + 10 * DAY)
    pki, tsa, permit, trust_anchors = PKI, PKI.tsa, LTA, PKI.trust_anchors

    def holds(pdf, at):
        known = lists(at, *([revocation] if pki is PKI else []), pki=pki)
        return validate(pdf, at, known, trust_anchors).indication == Indication.TOTAL_PASSED

    assert holds(permit, NOW + 11 * DAY)
    for years in range(4, 33, 4):
        moment = NOW + years * YEAR
        assert holds(permit, moment - DAY)
        crls = lists(moment, *([revocation] if pki is PKI else []), pki=pki)
        if years % 8 == 0:
            pki = make_pki(begins=moment - DAY)
            trust_anchors = [*trust_anchors, *pki.trust_anchors]
        tsa = issue(profiles.TSA, "Canting TSA (UJI)", pki.issuing, moment - HOUR)
        forgotten, permit = permit, archive(permit, tsa, moment, certificates=chain(pki.issuing), crls=crls)
        assert holds(permit, moment + DAY)
    report = validate(permit, moment + DAY, lists(moment + DAY, pki=pki), trust_anchors)
    assert (report.signature.level, report.signature.timestamped_at) == ("B-LTA", NOW)
    # Nothing of this is a matter of course: without the archive, or its last renewal, nothing is proven.
    assert not holds(LT, moment + DAY)
    assert not holds(forgotten, moment + 8 * YEAR)
