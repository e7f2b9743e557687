"""What two custodians sign, and what an approval of one of them alone, or of another thing, is worth."""

from dataclasses import replace
from datetime import timedelta

import cases
import pytest
from pki import FAST, NOW

from keys.approval import Approval, approve, certificate_statement, verify_approval
from keys.errors import ApprovalNotValid
from keys.software import SoftwareKeyStore

PASSPHRASE = "kunci ruang arsip"


@pytest.fixture
def city_store(tmp_path, root_store):
    """After a ceremony in files, where custodians' keys are whatever keeps the others."""
    store = SoftwareKeyStore(tmp_path / "keys", cost=FAST)
    cases.hold(store, root_store, NOW, operations=PASSPHRASE)
    return store


@pytest.fixture
def custodians(city_store):
    return [city_store.open_key(name, passphrase, now=NOW) for name, passphrase in cases.CUSTODIANS.items()]


@pytest.fixture
def seal(city_store):
    return city_store.open_key("seal", PASSPHRASE, now=NOW)


def test_an_approval_is_of_two_different_custodians(custodians, seal):
    statement = certificate_statement("enrol", "seal", seal.certificate, now=NOW)
    first, second = custodians

    assert approve(statement, [first, second])
    for keys in ([first], [first, first], [first, seal], []):
        with pytest.raises(ApprovalNotValid):
            approve(statement, keys)


def test_an_approval_fits_its_statement_time_and_root_alone(custodians, seal):
    root = seal.chain[-1:]
    approval = approve(certificate_statement("enrol", "seal", seal.certificate, now=NOW), custodians)
    (der, signature), other = approval.signatures
    late = custodians[0].certificate.not_valid_after_utc + timedelta(days=1)

    assert verify_approval(approval, root)
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
        approve(certificate_statement("enrol", "seal", seal.certificate, now=late), custodians)


@pytest.mark.parametrize("text", ["", "{}", '{"statement": 1, "signatures": [{}]}'])
def test_what_is_no_approval_is_refused(text):
    with pytest.raises(ApprovalNotValid):
        Approval.from_json(text)
