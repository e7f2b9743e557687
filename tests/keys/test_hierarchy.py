import pytest
from cryptography.x509.oid import NameOID
from pki import FAST, NOW

from keys.authority import Subject
from keys.errors import KeyAlreadyExists, WeakPassphrase, WrongPassphrase
from keys.hierarchy import enrol_official, init_hierarchy, load_trust_anchors
from keys.software import SoftwareKeyStore

ROOT, OPERATIONS, OFFICIAL = "sandi akar", "sandi operasi", "sandi pejabat"


@pytest.fixture
def store(tmp_path):
    store = SoftwareKeyStore(tmp_path / "keys", cost=FAST)
    init_hierarchy(
        store,
        organisation="Pemerintah Kota Contoh",
        root_passphrase=ROOT,
        operations_passphrase=OPERATIONS,
        now=NOW,
    )
    return store


def common_name(certificate):
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def test_every_key_opens_with_its_own_passphrase_only(store):
    assert store.names() == ("issuing", "log", "root", "seal", "tsa")
    assert store.open_key("root", ROOT, now=NOW)
    assert store.open_bare_key("log", OPERATIONS, now=NOW)
    for name in ("issuing", "seal", "tsa"):
        assert store.open_key(name, OPERATIONS, now=NOW).chain[-1] == load_trust_anchors(store.folder)[0]
    with pytest.raises(WrongPassphrase):
        store.open_key("root", OPERATIONS, now=NOW)


def test_our_own_hierarchy_says_that_it_is_an_example(store):
    names = [common_name(store.certificates(name)[0]) for name in ("root", "issuing", "tsa", "seal")]

    assert all(name.endswith("(CONTOH)") for name in names)


def test_an_official_is_enrolled_with_an_own_passphrase(store):
    certificate = enrol_official(
        store,
        "kepala",
        Subject("Sri Contoh"),
        official_passphrase=OFFICIAL,
        operations_passphrase=OPERATIONS,
        now=NOW,
    )

    opened = store.open_key("official-kepala", OFFICIAL, now=NOW)
    assert opened.certificate == certificate
    path = (certificate, *opened.chain)
    for issued, issuer in zip(path, (*opened.chain, *load_trust_anchors(store.folder)), strict=True):
        issued.verify_directly_issued_by(issuer)


def test_enrolment_needs_the_operators(store):
    with pytest.raises(WrongPassphrase):
        enrol_official(
            store,
            "kepala",
            Subject("Sri Contoh"),
            official_passphrase=OFFICIAL,
            operations_passphrase=OFFICIAL,
            now=NOW,
        )

    assert "official-kepala" not in store.names()


def test_a_second_hierarchy_does_not_touch_the_first(store):
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}

    with pytest.raises(KeyAlreadyExists):
        init_hierarchy(
            store, organisation="Lain", root_passphrase=ROOT, operations_passphrase=OPERATIONS, now=NOW
        )

    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before


def test_a_weak_passphrase_leaves_nothing_behind(tmp_path):
    store = SoftwareKeyStore(tmp_path / "keys", cost=FAST)

    with pytest.raises(WeakPassphrase):
        init_hierarchy(
            store, organisation="Kota", root_passphrase=ROOT, operations_passphrase="pendek", now=NOW
        )

    assert not store.folder.exists()
