"""OpenSSL, Poppler and MuPDF judge what the service issues, and agree with our own validation."""

import re
import shutil
import subprocess
from datetime import timedelta

import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.serialization import Encoding
from pki import NOW, make_pki, throwaway_pki
from postgres import require
from specimens import LETTER

from signing.validate import Indication, validate_document

PKI = throwaway_pki()
SAMPLE = ("kartu-pengawasan-trayek", LETTER)


def run(*command, cwd):
    require(shutil.which(command[0]), f"{command[0]} is not installed")
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    return done.stdout + done.stderr


def signature_parts(pdf, index):
    """The signed bytes and the CMS of a signature, found in the file without our own code."""
    ranges = re.findall(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]", pdf)
    start, length, after, rest = map(int, ranges[index])
    container = cms.ContentInfo.load(bytes.fromhex(pdf[length + 1 : after - 1].decode()))
    return pdf[start:length] + pdf[after : after + rest], container


def openssl_accepts(pdf, folder, root):
    """Whether OpenSSL takes the signature, and the archive time stamp where there is one, up to the root."""
    content, container = signature_parts(pdf, 0)
    (folder / "content").write_bytes(content)
    (folder / "cms").write_bytes(container.dump())
    (folder / "root").write_bytes(root.certificate.public_bytes(Encoding.PEM))
    at = ("-attime", str(int((NOW + timedelta(hours=2)).timestamp())))
    command = "openssl cms -verify -binary -cades -inform DER -in cms -content content -CAfile root"
    said = run(*command.split(), "-purpose", "any", "-out", "verified", *at, cwd=folder)
    verdicts = ["Verification successful" in said]
    if pdf.count(b"/DocTimeStamp"):
        covered, token = signature_parts(pdf, 1)
        assert len(covered) + 2 * len(token.dump()) <= len(pdf)
        (folder / "covered").write_bytes(covered)
        (folder / "token").write_bytes(token.dump())
        (folder / "issuing").write_bytes(PKI.issuing.certificate.public_bytes(Encoding.PEM))
        command = "openssl ts -verify -token_in -in token -data covered -CAfile root -untrusted issuing"
        verdicts.append("Verification: OK" in run(*command.split(), *at, cwd=folder))
    assert len(set(verdicts)) == 1, "the signature and the archive time stamp are judged differently"
    return verdicts[0]


def poppler_accepts(pdf, folder):
    (folder / "permit.pdf").write_bytes(pdf)
    first = run("pdfsig", "-nocert", "permit.pdf", cwd=folder).partition("Signature #2")[0]
    return "Signature is Valid" in first


def mupdf_accepts(pdf, folder):
    """MuPDF knows no trust anchor but its own, so it judges whether the signed bytes are unchanged."""
    (folder / "permit.pdf").write_bytes(pdf)
    said = run("mutool", "sign", "-v", "permit.pdf", cwd=folder)
    return "The document is unchanged" in said or "The signature is valid but there have been edits" in said


def we_accept(pdf, anchors):
    report = validate_document(pdf, anchors, at=NOW + timedelta(hours=2), crls=())
    return report.indication == Indication.TOTAL_PASSED


def altered(pdf):
    """The file with one bit of the attached data turned, within what the signature covers."""
    place = pdf.index(b"/EmbeddedFile")
    place = pdf.index(b"stream", place) + 40
    return pdf[:place] + bytes([pdf[place] ^ 1]) + pdf[place + 1 :]


def verdicts(pdf, folder):
    return [
        we_accept(pdf, PKI.trust_anchors),
        openssl_accepts(pdf, folder, PKI.root),
        poppler_accepts(pdf, folder),
        mupdf_accepts(pdf, folder),
    ]


def check(documents, levels, folder):
    for name, document in documents.items():
        for level, pdf in levels(document).items():
            assert verdicts(pdf, folder) == [True] * 4, (name, level)
            assert verdicts(altered(pdf), folder) == [False] * 4, (name, level)


def test_other_readers_agree_with_us_at_every_level(tmp_path, specimens, levels):
    check({name: specimens[name] for name in SAMPLE}, levels, tmp_path)


@pytest.mark.proof
def test_other_readers_agree_with_us_on_every_permit_type(tmp_path, specimens, levels):
    check(specimens, levels, tmp_path)


def test_openssl_and_we_refuse_the_chain_of_another_house(tmp_path, specimens, levels):
    pdf = levels(specimens[LETTER])["B-T"]
    stranger = make_pki()
    assert not openssl_accepts(pdf, tmp_path, stranger.root)
    assert not we_accept(pdf, stranger.trust_anchors)
