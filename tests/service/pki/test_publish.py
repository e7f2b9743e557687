"""Revocation lists: fresh at every hour, and a revocation in them at once."""

import subprocess
from datetime import datetime, timedelta
from pathlib import Path

import cases
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import Engine
from sqlmodel import Session

from keys.approval import approver
from keys.hierarchy import renew_key
from keys.profiles import ISSUING_CA
from keys.software import SoftwareKeyStore
from service.accounts.access import SERVICE
from service.database import reading, transaction
from service.pki.approve import open_custodians
from service.pki.models import RevocationList
from service.pki.publish import publish_revocation_lists
from service.pki.register import (
    HOLD,
    AlreadyRevoked,
    CertificateRevoked,
    CertificateUnknown,
    NotSuspended,
    RevokedByRoot,
    key_states,
    newest_list,
    reinstate_certificate,
    require_in_force,
    revoke_certificate,
)

COMPROMISE = x509.ReasonFlags.key_compromise


@pytest.fixture
def keys(tmp_path: Path, now: datetime) -> SoftwareKeyStore:
    return cases.make_keys(tmp_path / "keys", now - timedelta(days=1))


@pytest.fixture
def published(engine: Engine, keys: SoftwareKeyStore, now: datetime) -> Engine:
    assert publish(engine, keys, now) == 1
    return engine


def publish(engine: Engine, keys: SoftwareKeyStore, now: datetime) -> int:
    return publish_revocation_lists(engine, keys, cases.OPERATIONS_PASSPHRASE, now)


def issuing_list(engine: Engine) -> RevocationList:
    with reading(engine) as session:
        newest = newest_list(session, "issuing")
        assert newest is not None
        return newest


def revoke(session: Session, now: datetime, reason: x509.ReasonFlags = COMPROMISE, **since: datetime) -> None:
    revoke_certificate(session, "official-head", reason=reason, actor=SERVICE, now=now, **since)


@pytest.mark.parametrize(("standstill", "signed"), [(range(0), 30), (range(24 * 10, 24 * 15), 25)])
def test_a_list_is_never_stale_while_the_clock_runs_thirty_days_ahead(
    published: Engine, keys: SoftwareKeyStore, now: datetime, standstill: range, signed: int
) -> None:
    """Also when no job runs for five days, at the worst time: when the next list was just due."""
    for hour in range(1, 24 * 30 + 1):
        moment = now + timedelta(hours=hour)
        newest = issuing_list(published)
        assert newest.this_update <= moment < newest.next_update, f"stale after {hour} hours"
        if hour % 6 == 0 and hour not in standstill:
            signed -= publish(published, keys, moment)
    assert signed == 0


def test_openssl_finds_the_revocation(
    published: Engine, keys: SoftwareKeyStore, now: datetime, tmp_path: Path
) -> None:
    with transaction(published) as session:
        revoke(session, now)
    assert publish(published, keys, now + timedelta(seconds=1)) == 1
    assert publish(published, keys, now + timedelta(seconds=2)) == 0, "there is nothing new to tell"

    pems = [x509.load_der_x509_crl(issuing_list(published).der).public_bytes(Encoding.PEM)]
    pems.append(x509.load_der_x509_crl((keys.folder / "root.crl").read_bytes()).public_bytes(Encoding.PEM))
    (tmp_path / "crls.pem").write_bytes(b"".join(pems))
    (tmp_path / "chain.pem").write_bytes((keys.folder / "official-head.pem").read_bytes())

    def verify(name: str) -> subprocess.CompletedProcess[str]:
        files = ["-CAfile", keys.folder / "root.pem", "-untrusted", keys.folder / "issuing.pem"]
        at = str(int(now.timestamp()) + 60)
        options = ["-crl_check_all", "-CRLfile", tmp_path / "crls.pem", "-attime", at]
        leaf = keys.folder / f"{name}.pem"
        return subprocess.run(["openssl", "verify", *files, *options, leaf], capture_output=True, text=True)

    assert "certificate revoked" in verify("official-head").stderr
    assert verify("seal").returncode == 0, verify("seal").stderr


def test_a_compromise_counts_from_its_day(published: Engine, keys: SoftwareKeyStore, now: datetime) -> None:
    since = now - timedelta(hours=20)
    with transaction(published) as session:
        revoke(session, now, compromised_at=since)
    publish(published, keys, now)

    (entry,) = x509.load_der_x509_crl(issuing_list(published).der)
    assert entry.revocation_date_utc == since
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is COMPROMISE


def reinstate(session: Session, keys: SoftwareKeyStore, now: datetime) -> None:
    approve = approver("reinstate", open_custodians(session, keys, cases.CUSTODIANS, now), now)
    reinstate_certificate(session, "official-head", approve=approve, actor=SERVICE, now=now)


def test_a_suspension_ends_and_a_revocation_does_not(
    published: Engine, keys: SoftwareKeyStore, now: datetime
) -> None:
    certificate = keys.certificates("official-head")[0]
    with transaction(published) as session:
        revoke(session, now, HOLD)
        with pytest.raises(CertificateRevoked):
            require_in_force(session, certificate)
    publish(published, keys, now)
    assert len(list(x509.load_der_x509_crl(issuing_list(published).der))) == 1
    with transaction(published) as session:
        reinstate(session, keys, now)
        require_in_force(session, certificate)
        with pytest.raises(NotSuspended):
            reinstate(session, keys, now)
    publish(published, keys, now)
    assert list(x509.load_der_x509_crl(issuing_list(published).der)) == []
    with transaction(published) as session:
        revoke(session, now)
        with pytest.raises(AlreadyRevoked):
            revoke(session, now)
        with pytest.raises(NotSuspended):
            reinstate(session, keys, now)
        with pytest.raises(CertificateUnknown):
            revoke_certificate(session, "official-x", reason=COMPROMISE, actor=SERVICE, now=now)


@pytest.mark.parametrize("name", ["root", "issuing"])
def test_an_authority_is_revoked_by_the_root_alone(published: Engine, now: datetime, name: str) -> None:
    with transaction(published) as session, pytest.raises(RevokedByRoot):
        revoke_certificate(session, name, reason=COMPROMISE, actor=SERVICE, now=now)


def test_an_older_authority_goes_on_publishing(
    published: Engine, keys: SoftwareKeyStore, now: datetime
) -> None:
    renew_key(
        keys,
        ISSUING_CA,
        passphrase=cases.OPERATIONS_PASSPHRASE,
        issuer_passphrase=cases.ROOT_PASSPHRASE,
        now=now,
    )
    assert publish(published, keys, now + timedelta(days=2)) == 2
    with reading(published) as session:
        states = {each.row.key_name: (each.row.issuer, each.state) for each in key_states(session, now)}
    assert states["issuing-2"] == ("root", "in_force")
    assert states["official-head"] == ("issuing", "in_force")
    assert states["root"] == ("root", "in_force")
