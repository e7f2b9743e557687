"""The ceremony, held in files and in tokens alike: what it makes, and that a refusal makes nothing."""

import itertools
from dataclasses import replace

import cases
import pytest
import softhsm
from cases import PLAN, ROOT_PASSPHRASE
from cryptography.x509.oid import NameOID
from pki import FAST, NOW

from keys import profiles
from keys.algorithms import algorithm_of
from keys.approval import Approval, digest_of_tbs, verify_approval
from keys.authority import Subject
from keys.ceremony import Entry, fingerprint, key_fingerprint
from keys.errors import (
    ApprovalNotValid,
    KeyAlreadyExists,
    PassphrasesAlike,
    ProfileViolation,
    TokenNotFound,
    WeakPassphrase,
    WrongPassphrase,
)
from keys.software import SoftwareKeyStore

PASSPHRASE, OFFICIAL = "kunci ruang arsip", "sandi pejabat"
OWN = ("issuing", "log", "seal", "tsa")
OF_MANY_KINDS = replace(
    PLAN,
    entries=(
        *(
            replace(entry, algorithm={"issuing": "p384", "tsa": "rsa3072"}.get(entry.name, entry.algorithm))
            for entry in PLAN.entries
        ),
        Entry("official-kepala", "p384", profiles.OFFICIAL, Subject("Sri Contoh")),
    ),
)


def hold(keys, root_keys, plan=PLAN, **changed):
    return cases.hold(keys, root_keys, NOW, plan, **{"operations": PASSPHRASE, **changed})


def common_name(certificate):
    return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def test_every_key_is_where_it_stays_and_opens_with_its_own_passphrase(city_store, root_store):
    assert city_store.names() == ("custodian-dua", "custodian-satu", *OWN)
    assert root_store.names() == city_store.roots() == ("root",)
    passphrases = {**dict.fromkeys(OWN, PASSPHRASE), **cases.CUSTODIANS}
    for name in city_store.names():
        with city_store.open_bare_key(name, passphrases[name], now=NOW) as key:
            assert key.sign(b"data")
        for issued, issuer in itertools.pairwise(city_store.certificates(name)):
            issued.verify_directly_issued_by(issuer)
    assert (
        root_store.open_key("root", ROOT_PASSPHRASE, now=NOW).certificate
        == (city_store.certificates("tsa")[-1])
    )
    with pytest.raises(WrongPassphrase):
        city_store.open_key("custodian-satu", PASSPHRASE, now=NOW)


def test_the_roots_key_never_lies_among_the_services(city_store, root_store, tmp_path):
    names = {path.name for path in (tmp_path / "keys").iterdir()}

    assert "root.key.json" not in names
    assert {"root.pem", "root.crl"} <= names
    assert (root_store.folder / "root.key.json").exists()


def test_keys_of_a_token_leave_no_file(token_store, token, root_store, tmp_path):
    hold(token_store, root_store)

    kept = {path.name for path in (tmp_path / "keys").glob("*.key.json")}
    assert kept == {"custodian-dua.key.json", "custodian-satu.key.json"}
    assert token.names() == OWN


def test_the_record_says_which_keys_are_in_which_token(token_store, root_store):
    someone = Entry("official-kepala", "p256", profiles.OFFICIAL, Subject("Sri Contoh"))
    plan = replace(PLAN, entries=(*PLAN.entries, someone))

    record = hold(token_store, root_store, plan, **{"official-kepala": OFFICIAL})

    assert record.facts["tokens"] == {**dict.fromkeys(OWN, "permits"), "official-kepala": "official-kepala"}


def test_each_key_is_of_the_kind_that_the_plan_says(any_store, root_store):
    hold(any_store, root_store, OF_MANY_KINDS, **{"official-kepala": OFFICIAL})

    planned = {entry.name: entry.algorithm for entry in OF_MANY_KINDS.entries if entry.profile}
    made = {name: algorithm_of(any_store.certificates(name)[0].public_key()).name for name in planned}
    assert made == planned
    with any_store.open_key("official-kepala", OFFICIAL, now=NOW) as official:
        assert official.chain == any_store.certificates("tsa")[1:]


def test_our_own_hierarchy_says_that_it_is_an_example(city_store):
    names = [common_name(city_store.certificates(name)[0]) for name in ("root", "issuing", "tsa", "seal")]

    assert all(name.endswith("(CONTOH)") for name in names)


def test_the_record_names_all_that_was_made_and_is_signed_by_the_custodians(any_store, root_store):
    record = hold(any_store, root_store)

    root = any_store.certificates("root")
    assert len(verify_approval(record, root)) == 2
    names = {entry.name for entry in PLAN.entries if entry.profile}
    assert record.facts["certificates"] == {
        name: fingerprint(any_store.certificates(name)[0]) for name in names
    }
    log = any_store.open_bare_key("log", PASSPHRASE, now=NOW)
    assert record.facts["keys"] == {"log": key_fingerprint(log.public_key)}


def test_what_the_issuing_ca_certifies_is_approved_by_two(city_store):
    root = city_store.certificates("root")
    for name in ("issuing", "tsa", "seal"):
        approval = Approval.from_json(city_store.approval(name))

        assert len(verify_approval(approval, root)) == 2
        assert approval.facts["tbs_sha256"] == digest_of_tbs(city_store.certificates(name)[0])
        assert approval.facts["key"] == name


def test_a_second_hierarchy_does_not_touch_the_first(city_store, tmp_path):
    before = {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()}

    with pytest.raises(KeyAlreadyExists):
        hold(city_store, SoftwareKeyStore(tmp_path / "another", cost=FAST))

    assert {path.name: path.read_bytes() for path in (tmp_path / "keys").iterdir()} == before
    assert not (tmp_path / "another").exists()


TOO_LONG = replace(PLAN.entries[-1], subject=Subject("Nama " * 20))


@pytest.mark.parametrize(
    ("error", "plan", "passphrases"),
    [
        ((WeakPassphrase, WrongPassphrase), PLAN, {"operations": "pendek"}),
        (WeakPassphrase, PLAN, {"custodian-dua": "pendek"}),
        (PassphrasesAlike, PLAN, {"root": PASSPHRASE}),
        (ApprovalNotValid, replace(PLAN, entries=PLAN.entries[:-1]), {}),
        (ProfileViolation, replace(PLAN, entries=(*PLAN.entries, TOO_LONG)), {}),
    ],
    ids=["operations", "custodian", "alike", "alone", "name"],
)
def test_a_refusal_makes_nothing(any_store, root_store, tmp_path, error, plan, passphrases):
    with pytest.raises(error):
        hold(any_store, root_store, plan, **passphrases)

    assert any_store.names() == ()
    assert not (tmp_path / "keys").exists()
    assert not root_store.folder.exists()


def test_a_token_that_is_missing_stops_the_ceremony_before_it_begins(token_store, token, root_store):
    someone = Entry("official-lain", "p256", profiles.OFFICIAL, Subject("Orang Lain"))
    plan = replace(PLAN, entries=(*PLAN.entries, someone))

    with pytest.raises(TokenNotFound):
        hold(token_store, root_store, plan, **{"official-lain": OFFICIAL})
    softhsm.start_anew()
    assert token.names() == ()
    assert not root_store.folder.exists()
