"""What a ceremony leaves: a text for the witnesses, and files that can be compared with it for ever."""

from datetime import UTC, datetime
from pathlib import Path

import cases
import pytest
from pki import FAST

from keys.authority import Subject
from keys.ceremony import fingerprint
from keys.errors import ApprovalNotValid
from keys.hierarchy import appoint_custodian, certify_responder
from keys.software import SoftwareKeyStore
from service.clock import CITY_TIMEZONE
from service.pki.plan import EXAMPLE, digest_of_plan, read_plan
from service.pki.transcript import hold, verify_ceremony

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> SoftwareKeyStore:
    """The service's keys after a ceremony of the example plan."""
    keys, root_keys = (SoftwareKeyStore(tmp_path / name, FAST) for name in ("keys", "root"))
    held_at = NOW.astimezone(CITY_TIMEZONE)
    hold(EXAMPLE, keys.folder, keys, root_keys, cases.PASSPHRASES, plan=read_plan(EXAMPLE), now=held_at)
    return keys


def faults(keys: SoftwareKeyStore) -> list[str]:
    return [fault.message_en for fault in verify_ceremony(keys.folder, keys)[1]]


def test_the_text_says_all_that_witnesses_sign(keys: SoftwareKeyStore) -> None:
    text = (keys.folder / "ceremony.txt").read_text()

    assert digest_of_plan(EXAMPLE) in text
    assert "2026-11-23 03:00:00 UTC" in text
    for name in ("root", "issuing", "tsa", "ocsp", "seal", "custodian-satu", "custodian-dua"):
        certificate = keys.certificates(name)[0]
        assert fingerprint(certificate) in text
        assert f"{certificate.serial_number:x}" in text
        assert certificate.subject.rfc4514_string() in text
    for name in ("Saksi Satu Contoh", "Pemimpin Upacara Contoh", "Pemegang Kunci Dua Contoh"):
        assert name in text
    for passphrase in cases.PASSPHRASES.values():
        assert passphrase not in text
    for name in ("ceremony.txt", "ceremony.json", "ceremony.pem", "ceremony.yaml"):
        assert (keys.folder.parent / "root" / name).read_bytes() == (keys.folder / name).read_bytes()


def test_a_ceremony_is_confirmed(keys: SoftwareKeyStore) -> None:
    text, found = verify_ceremony(keys.folder, keys)

    assert found == []
    assert text == (keys.folder / "ceremony.txt").read_text()


def test_a_responder_that_was_renewed_since_changes_nothing(keys: SoftwareKeyStore) -> None:
    issuing = keys.open_key("issuing", cases.OPERATIONS_PASSPHRASE, now=NOW)
    certify_responder(keys, "ocsp", issuing, cases.OPERATIONS_PASSPHRASE, now=NOW)

    assert faults(keys) == []


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        ("ceremony.yaml", "Saksi Satu", "Saksi Lain", "ceremony.yaml is not the plan"),
        ("ceremony.txt", "Saksi Satu", "Saksi Lain", "ceremony.txt is not the text"),
        ("ceremony.json", "2026-11-23", "2026-11-22", "not signed by two custodians"),
        ("tsa.approval.json", "ceremony", "enrolment", "tsa: A custodian's signature"),
    ],
)
def test_an_altered_file_is_named(keys: SoftwareKeyStore, name: str, old: str, new: str, told: str) -> None:
    path = keys.folder / name
    path.write_text(path.read_text().replace(old, new, 1))

    assert any(told in fault for fault in faults(keys))


def test_another_certificate_is_named(keys: SoftwareKeyStore) -> None:
    (keys.folder / "seal.pem").write_bytes((keys.folder / "tsa.pem").read_bytes())

    assert faults(keys) == ["seal: another certificate, or none."]


def test_a_folder_without_a_ceremony_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ApprovalNotValid):
        verify_ceremony(tmp_path, SoftwareKeyStore(tmp_path))


def test_later_custodians_do_not_count_as_the_ceremonys(keys: SoftwareKeyStore) -> None:
    appoint_custodian(
        keys,
        "tiga",
        Subject("Pemegang Tiga"),
        custodian_passphrase="sandi pemegang tiga",
        root_keys=SoftwareKeyStore(keys.folder.parent / "root", FAST),
        root_passphrase=cases.ROOT_PASSPHRASE,
        now=NOW,
    )

    assert faults(keys) == []
