"""The hierarchy after its ceremony, in files and in tokens alike: officials enrolled, keys renewed."""

import itertools

import pytest
from cases import ROOT_PASSPHRASE
from pki import NOW

from keys.algorithms import verify_signature
from keys.authority import Subject
from keys.errors import ApprovalNotValid, WrongPassphrase
from keys.hierarchy import (
    appoint_custodian,
    enrol_official,
    latest,
    load_trust_anchors,
    renew_key,
    renew_root,
    sign_root_list,
)
from keys.profiles import ISSUING_CA, TSA
from keys.revocation import Revocation, read_revocations

PASSPHRASE, OFFICIAL = "kunci ruang arsip", "sandi pejabat"


def enrol(store, approve=None, operations=PASSPHRASE):
    return enrol_official(
        store,
        "kepala",
        Subject("Sri Contoh"),
        official_passphrase=OFFICIAL,
        operations_passphrase=operations,
        now=NOW,
        approve=approve,
    )


def renew_tsa(store):
    return renew_key(store, TSA, passphrase=PASSPHRASE, issuer_passphrase=PASSPHRASE, now=NOW)


def test_an_official_is_enrolled_with_an_own_passphrase(city_store):
    certificate = enrol(city_store)

    with city_store.open_key("official-kepala", OFFICIAL, now=NOW) as official:
        path = (official.certificate, *official.chain)
        verify_signature(certificate.public_key(), official.sign(b"data"), b"data")
    assert path[0] == certificate
    assert path[-1] == city_store.certificates("root")[0]
    for issued, issuer in itertools.pairwise(path):
        issued.verify_directly_issued_by(issuer)
    with pytest.raises(WrongPassphrase):
        city_store.open_key("official-kepala", PASSPHRASE, now=NOW)


def test_enrolment_needs_the_operators(city_store):
    with pytest.raises(WrongPassphrase):
        enrol(city_store, operations=OFFICIAL)

    assert "official-kepala" not in city_store.names()


def test_who_refuses_to_approve_leaves_no_certificate_behind(city_store):
    def refuse(name, certificate):
        raise ApprovalNotValid

    with pytest.raises(ApprovalNotValid):
        enrol(city_store, refuse)

    assert city_store.certificates("official-kepala") == ()
    assert city_store.approval("official-kepala") is None


def test_a_key_of_the_hierarchy_is_renewed(city_store):
    renew_tsa(city_store)

    with (
        city_store.open_key("tsa-2", PASSPHRASE, now=NOW) as tsa,
        city_store.open_key("tsa", PASSPHRASE, now=NOW),
    ):
        verify_signature(tsa.certificate.public_key(), tsa.sign(b"data"), b"data")


def test_a_key_that_a_crash_left_uncertified_is_taken_up_again(city_store):
    left = city_store.generate_key("tsa-2", "p256", PASSPHRASE, now=NOW)
    left.close()
    assert latest(city_store, "tsa") == "tsa"

    assert renew_tsa(city_store).public_key() == left.public_key
    assert latest(city_store, "tsa") == "tsa-2"


def test_a_roots_revocation_list_grows_beside_its_certificate(city_store, root_store):
    serial = city_store.certificates("custodian-satu")[0].serial_number
    revocation = Revocation(serial, NOW)

    sign_root_list(city_store, ROOT_PASSPHRASE, now=NOW, root_keys=root_store)
    assert read_revocations(city_store.revocation_list("root")) == (2, [])
    sign_root_list(city_store, ROOT_PASSPHRASE, now=NOW, root_keys=root_store, revocation=revocation)
    number, (revoked,) = read_revocations(city_store.revocation_list("root"))
    assert (number, revoked.serial_number) == (3, serial)
    assert city_store.revocation_list("root-2") is None


def test_the_root_is_brought_for_a_custodian_and_an_issuing_ca(city_store, root_store, tmp_path):
    given = {"root_keys": root_store, "now": NOW}
    appoint_custodian(
        city_store,
        "tiga",
        Subject("Pemegang Tiga"),
        custodian_passphrase="sandi pemegang tiga",
        root_passphrase=ROOT_PASSPHRASE,
        **given,
    )
    certificate, root = city_store.certificates("custodian-tiga")
    assert root == root_store.certificates("root")[0]
    assert city_store.open_key("custodian-tiga", "sandi pemegang tiga", now=NOW).certificate == certificate

    renewed = renew_key(
        city_store, ISSUING_CA, passphrase=PASSPHRASE, issuer_passphrase=ROOT_PASSPHRASE, **given
    )
    assert city_store.certificates("issuing-2") == (renewed, root)
    assert renew_tsa(city_store).issuer == renewed.subject
    second = renew_root(city_store, root_store, "sandi akar kedua", now=NOW)
    assert root_store.names() == city_store.roots() == ("root", "root-2")
    assert load_trust_anchors(tmp_path / "keys") == [second, root]
