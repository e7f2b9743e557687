from dataclasses import replace
from datetime import timedelta

import cases
import pytest
from cases import OFFICIAL_PASSPHRASE, OPERATIONS_PASSPHRASE, PLAN, ROOT_PASSPHRASE
from cryptography.x509.oid import NameOID
from pki import FAST, NOW

from keys.approval import Approval, approve, certificate_statement, digest_of_tbs, verify_approval
from keys.authority import Subject
from keys.ceremony import hold_ceremony
from keys.errors import ApprovalNotValid, KeyAlreadyExists, PassphrasesAlike, WeakPassphrase, WrongPassphrase
from keys.hierarchy import appoint_custodian, enrol_official, load_trust_anchors, renew_key, sign_root_list
from keys.profiles import ISSUING_CA, ROOT, TSA
from keys.revocation import read_revocations
from keys.software import SoftwareKeyStore


def hold(keys, root_keys, plan=PLAN, **passphrases):
    given = {**cases.PASSPHRASES, **passphrases}
    return hold_ceremony(plan, keys, root_keys, given, plan_sha256="", software="", now=NOW)


@pytest.fixture
def root_store(tmp_path):
    return SoftwareKeyStore(tmp_path / "carried away", cost=FAST)


@pytest.fixture
def store(tmp_path, root_store):
    store = SoftwareKeyStore(tmp_path / "keys", cost=FAST)
    hold(store, root_store)
    return store


@pytest.fixture
def custodians(store):
    return [store.open_key(name, passphrase, now=NOW) for name, passphrase in cases.CUSTODIANS.items()]


def enrol(store, approve=None, **changes):
    given = {"official_passphrase": OFFICIAL_PASSPHRASE, "operations_passphrase": OPERATIONS_PASSPHRASE}
    return enrol_official(
        store, "kepala", Subject("Sri Contoh"), **(given | changes), now=NOW, approve=approve
    )


def common_name(certificate):
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def test_every_key_opens_with_its_own_passphrase_only(store, root_store):
    assert store.names() == ("custodian-dua", "custodian-satu", "issuing", "log", "seal", "tsa")
    assert root_store.names() == ("root",)
    assert root_store.open_key("root", ROOT_PASSPHRASE, now=NOW)
    assert store.open_bare_key("log", OPERATIONS_PASSPHRASE, now=NOW)
    for name in ("issuing", "seal", "tsa"):
        opened = store.open_key(name, OPERATIONS_PASSPHRASE, now=NOW)
        assert opened.chain[-1] == load_trust_anchors(store.folder)[0]
    for name in cases.CUSTODIANS:
        with pytest.raises(WrongPassphrase):
            store.open_key(name, OPERATIONS_PASSPHRASE, now=NOW)


def test_the_roots_key_never_lies_among_the_services(store, root_store):
    names = {path.name for path in store.folder.iterdir()}

    assert "root.key.json" not in names
    assert {"root.pem", "root.crl"} <= names
    assert (root_store.folder / "root.key.json").exists()


def test_our_own_hierarchy_says_that_it_is_an_example(store):
    names = [common_name(store.certificates(name)[0]) for name in ("root", "issuing", "tsa", "seal")]

    assert all(name.endswith("(CONTOH)") for name in names)


def test_an_official_is_enrolled_with_an_own_passphrase(store):
    certificate = enrol(store)

    opened = store.open_key("official-kepala", OFFICIAL_PASSPHRASE, now=NOW)
    assert opened.certificate == certificate
    path = (certificate, *opened.chain)
    for issued, issuer in zip(path, (*opened.chain, *load_trust_anchors(store.folder)), strict=True):
        issued.verify_directly_issued_by(issuer)


def test_enrolment_needs_the_operators(store):
    with pytest.raises(WrongPassphrase):
        enrol(store, operations_passphrase=OFFICIAL_PASSPHRASE)

    assert "official-kepala" not in store.names()


def test_who_refuses_to_approve_leaves_nothing_behind(store):
    def refuse(name, certificate):
        raise ApprovalNotValid

    with pytest.raises(ApprovalNotValid):
        enrol(store, refuse)

    assert "official-kepala" not in store.names()
    assert store.approval("official-kepala") is None


def test_a_second_hierarchy_does_not_touch_the_first(store, tmp_path):
    before = {path.name: path.read_bytes() for path in store.folder.iterdir()}

    with pytest.raises(KeyAlreadyExists):
        hold(store, SoftwareKeyStore(tmp_path / "another", cost=FAST))

    assert {path.name: path.read_bytes() for path in store.folder.iterdir()} == before
    assert not (tmp_path / "another").exists()


@pytest.mark.parametrize(
    ("error", "operations"), [(WeakPassphrase, "pendek"), (PassphrasesAlike, ROOT_PASSPHRASE)]
)
def test_a_passphrase_that_will_not_do_leaves_nothing_behind(tmp_path, root_store, error, operations):
    store = SoftwareKeyStore(tmp_path / "keys", cost=FAST)

    with pytest.raises(error):
        hold(store, root_store, operations=operations)

    assert not store.folder.exists()
    assert not root_store.folder.exists()


def test_one_custodian_alone_holds_no_ceremony(tmp_path, root_store):
    store = SoftwareKeyStore(tmp_path / "keys", cost=FAST)
    alone = replace(PLAN, entries=PLAN.entries[:-1])

    with pytest.raises(ApprovalNotValid):
        hold(store, root_store, alone)

    assert not store.folder.exists()


def test_what_the_issuing_ca_certifies_is_approved_by_two(store):
    root = load_trust_anchors(store.folder)
    for name in ("issuing", "tsa", "seal"):
        approval = Approval.from_json(store.approval(name))

        assert len(verify_approval(approval, root)) == 2
        assert approval.facts["tbs_sha256"] == digest_of_tbs(store.certificates(name)[0])
        assert approval.facts["key"] == name


def test_an_approval_is_of_two_different_custodians(store, custodians):
    statement = certificate_statement("enrol", "seal", store.certificates("seal")[0], now=NOW)
    first, second = custodians
    seal = store.open_key("seal", OPERATIONS_PASSPHRASE, now=NOW)

    assert approve(statement, [first, second])
    for keys in ([first], [first, first], [first, seal], []):
        with pytest.raises(ApprovalNotValid):
            approve(statement, keys)


def test_an_approval_fits_its_statement_time_and_root_alone(store, custodians):
    root = load_trust_anchors(store.folder)
    certificate = store.certificates("seal")[0]
    approval = approve(certificate_statement("enrol", "seal", certificate, now=NOW), custodians)
    (der, signature), other = approval.signatures
    late = custodians[0].certificate.not_valid_after_utc + timedelta(days=1)

    for altered in (
        replace(approval, statement=approval.statement.replace("seal", "tsa")),
        replace(approval, signatures=((der, other[1]), other)),
        replace(approval, signatures=((der, signature[:-1] + b"\0\0"), other)),
    ):
        with pytest.raises(ApprovalNotValid):
            verify_approval(altered, root)
    with pytest.raises(ApprovalNotValid):
        verify_approval(approval, [])
    with pytest.raises(ApprovalNotValid):
        approve(certificate_statement("enrol", "seal", certificate, now=late), custodians)
    for text in ("", "{}", '{"statement": 1, "signatures": [{}]}'):
        with pytest.raises(ApprovalNotValid):
            Approval.from_json(text)


def test_the_root_is_brought_for_a_custodian_a_list_and_an_issuing_ca(store, root_store):
    given = {"root_keys": root_store, "now": NOW}
    appoint_custodian(
        store,
        "tiga",
        Subject("Pemegang Tiga"),
        custodian_passphrase="sandi pemegang tiga",
        root_passphrase=ROOT_PASSPHRASE,
        **given,
    )
    certificate, root = store.certificates("custodian-tiga")
    assert root == root_store.certificates("root")[0]
    assert store.open_key("custodian-tiga", "sandi pemegang tiga", now=NOW).certificate == certificate

    sign_root_list(store, ROOT_PASSPHRASE, **given)
    assert read_revocations(store.revocation_list("root")) == (2, [])

    renew = {"passphrase": OPERATIONS_PASSPHRASE, **given}
    renewed = renew_key(store, ISSUING_CA, issuer_passphrase=ROOT_PASSPHRASE, **renew)
    assert store.certificates("issuing-2") == (renewed, root)
    assert renew_key(store, TSA, issuer_passphrase=OPERATIONS_PASSPHRASE, **renew).issuer == renewed.subject
    second = renew_key(store, ROOT, issuer_passphrase="", **(renew | {"passphrase": "sandi akar kedua"}))
    assert root_store.names() == ("root", "root-2")
    assert load_trust_anchors(store.folder) == [second, root]
