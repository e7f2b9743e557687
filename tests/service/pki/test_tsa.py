"""Time-stamping authorities of other houses: asked in their order, believed only when verification will."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx2
import pytest
import tsas
from cryptography import x509
from pki import throwaway_pki
from sqlalchemy import Engine
from sqlmodel import select

from keys import profiles
from keys.errors import TimestampNotGranted
from keys.revocation import Revocation
from keys.timestamp import Timestamper, local_timestamper
from keys.timestamp_client import token_certificates
from service.config import LOCAL_TSA, TsaAddress, parse_tsa_urls
from service.database import reading, transaction
from service.pki import tsa
from service.pki.models import OutsideCertificate, RevocationList
from service.pki.outside import refresh_outside_lists, stamps_until
from service.pki.tsa import Breaker, open_client, ordered_timestamper, outside_tsas, request_token
from signing.errors import TimestampUnavailable

DIGEST = bytes(range(32))
OWN = throwaway_pki().tsa
OWN_END = OWN.certificate.not_valid_after_utc


@pytest.fixture
def house(now: datetime) -> Iterator[tsas.OtherHouse]:
    with tsas.other_house(lambda: now) as house:
        yield house


class Service:
    """The part of the service that stamps: its keys' folder, its setting, and the hourly job."""

    def __init__(self, engine: Engine, folder: Path, now: datetime) -> None:
        self.engine, self.folder, self.now = engine, folder, now
        self.addresses: tuple[TsaAddress, ...] = ()

    def trust(self, house: tsas.OtherHouse, name: str = "luar") -> None:
        self.addresses = (*self.addresses, TsaAddress(name, f"{house.url}/tsr"))
        (self.folder / "timestamping").mkdir(exist_ok=True)
        (self.folder / "timestamping" / f"{name}.pem").write_bytes(house.pem)

    def refresh(self) -> int:
        return refresh_outside_lists(self.engine, outside_tsas(self.addresses, self.folder), self.now)

    def timestamper(self, *, falls_back: bool = False) -> Timestamper:
        own = local_timestamper(OWN, lambda: self.now)
        addresses = (*self.addresses, LOCAL_TSA) if falls_back else self.addresses
        return ordered_timestamper(addresses, self.folder, own, engine=self.engine, now=lambda: self.now)


@pytest.fixture
def service(engine: Engine, tmp_path: Path, now: datetime, house: tsas.OtherHouse) -> Service:
    service = Service(engine, tmp_path, now)
    service.trust(house)
    return service


def stamped_by(token: bytes) -> x509.Certificate:
    return token_certificates(token)[0]


def test_the_first_authority_stamps_once_its_lists_are_known(
    service: Service, house: tsas.OtherHouse
) -> None:
    with pytest.raises(TimestampUnavailable):
        service.timestamper().stamp(DIGEST)
    assert service.refresh() == 1

    token = service.timestamper(falls_back=True).stamp(DIGEST)

    assert stamped_by(token) == house.tsa.certificate
    with reading(service.engine) as session:
        assert stamps_until(session, service.addresses, OWN_END, service.now) == (
            house.tsa.certificate.not_valid_after_utc
        )


FAULTS: dict[str, Callable[[tsas.OtherHouse, bytes], tsas.Answer]] = {
    "server error": tsas.plain(500, b""),
    "redirect": tsas.plain(302, b""),
    "garbage": tsas.plain(200, b"<html>busy</html>"),
    "nothing": tsas.plain(200, b""),
    "another type": tsas.plain(200, b"{}", "application/json"),
    "too large": tsas.plain(200, bytes(tsa.LARGEST_ANSWER + 1)),
    "wrong imprint": tsas.wrong_imprint,
    "wrong nonce": tsas.change_query(nonce=7),
    "rejection": tsas.change_query(req_policy="1.2.3"),
    "no certificate": tsas.change_query(cert_req=False),
    "another time": tsas.another_clock(timedelta(minutes=2)),
    "not for stamping": tsas.another_key(profiles.SEAL),
    "ended": tsas.ended_certificate,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_authority_is_passed_over(service: Service, house: tsas.OtherHouse, fault: str) -> None:
    service.refresh()
    house.misbehave = FAULTS[fault]

    token = service.timestamper(falls_back=True).stamp(DIGEST)

    assert stamped_by(token) == OWN.certificate
    assert house.asked == 2


def test_an_authority_that_is_not_there_or_does_not_answer_is_passed_over(
    service: Service, house: tsas.OtherHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.refresh()
    monkeypatch.setattr(tsa, "TIMEOUT", httpx2.Timeout(0.1))
    house.misbehave = tsas.stall(0.3)
    refused = TsaAddress("jauh", "http://127.0.0.1:9/tsr")
    (service.folder / "timestamping" / "jauh.pem").write_bytes(house.pem)
    service.addresses = (refused, *service.addresses)

    begin = time.monotonic()
    token = service.timestamper(falls_back=True).stamp(DIGEST)

    assert stamped_by(token) == OWN.certificate
    assert time.monotonic() - begin < 1
    with pytest.raises(TimestampUnavailable):
        service.timestamper().stamp(DIGEST)


def test_a_revoked_authority_stamps_nothing_more(service: Service, house: tsas.OtherHouse) -> None:
    assert service.refresh() == 1
    house.revoked = [Revocation(house.tsa.certificate.serial_number, service.now - timedelta(hours=1))]
    assert service.refresh() == 0

    assert stamped_by(service.timestamper(falls_back=True).stamp(DIGEST)) == OWN.certificate


def test_an_authority_whose_lists_went_stale_stamps_nothing(service: Service, house: tsas.OtherHouse) -> None:
    service.refresh()
    service.now += timedelta(days=8)
    house.clock = lambda: service.now
    with pytest.raises(TimestampUnavailable):
        service.timestamper().stamp(DIGEST)

    service.refresh()

    assert stamped_by(service.timestamper().stamp(DIGEST)) == house.tsa.certificate


def test_an_authority_of_an_unknown_root_is_not_believed(service: Service, now: datetime) -> None:
    with tsas.other_house(lambda: now, "Asing") as stranger:
        address = replace(service.addresses[0], url=f"{stranger.url}/tsr")
        service.addresses = (address,)
        assert service.refresh() == 0
        with pytest.raises(TimestampUnavailable):
            service.timestamper().stamp(DIGEST)


def test_a_dead_authority_slows_only_the_first_issuance(service: Service, house: tsas.OtherHouse) -> None:
    service.refresh()
    house.misbehave = tsas.plain(503, b"")
    timestamper = service.timestamper(falls_back=True)
    for _ in range(20):
        assert stamped_by(timestamper.stamp(DIGEST)) == OWN.certificate
    assert house.asked == 2


def test_a_breaker_lets_one_try_after_each_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = 1000.0
    monkeypatch.setattr(tsa.time, "monotonic", lambda: moment)
    breaker = Breaker()
    assert breaker.admits()
    breaker.note(failed=True)
    assert not breaker.admits()
    moment += tsa.FIRST_PAUSE
    assert [breaker.admits(), breaker.admits()] == [True, False]
    breaker.note(failed=True)
    moment += tsa.FIRST_PAUSE
    assert not breaker.admits()
    moment += tsa.FIRST_PAUSE
    assert breaker.admits()
    breaker.note(failed=False)
    assert [breaker.admits(), breaker.admits()] == [True, True]


def test_a_policy_is_asked_for_and_must_be_stated(service: Service, house: tsas.OtherHouse) -> None:
    (known,) = outside_tsas(service.addresses, service.folder)
    with open_client() as client:
        request_token(
            client, replace(known, policy=profiles.TIMESTAMP_POLICY.dotted_string), DIGEST, service.now
        )
        house.misbehave = tsas.change_query(req_policy=None)
        with pytest.raises(TimestampNotGranted, match="policy"):
            request_token(client, replace(known, policy="1.2.3"), DIGEST, service.now)


def test_lists_of_a_past_certificate_go_on_being_fetched_and_never_go_back(
    service: Service, house: tsas.OtherHouse, now: datetime
) -> None:
    service.refresh()
    service.addresses = ()
    service.now = now + timedelta(days=1)
    house.clock = lambda: service.now
    service.refresh()
    house.clock = lambda: now
    service.refresh()
    with reading(service.engine) as session:
        lists = session.exec(select(RevocationList)).all()
        (row,) = session.exec(select(OutsideCertificate)).all()
    assert len(lists) == 2
    assert {each.this_update for each in lists} == {service.now - timedelta(minutes=1)}
    assert (row.tsa, row.subject, row.answered_at) == ("luar", "Luar TSA (UJI)", now)


def test_an_authority_that_was_silent_for_long_does_not_say_until_when(service: Service) -> None:
    service.refresh()
    addresses = (*service.addresses, LOCAL_TSA)
    with transaction(service.engine) as session:
        later = service.now + timedelta(hours=4)
        assert stamps_until(session, addresses, OWN_END, later) == OWN_END


def test_the_setting_is_read() -> None:
    assert parse_tsa_urls("local") == (LOCAL_TSA,)
    assert parse_tsa_urls("bsre=https://tsa.contoh.invalid/tsr 1.2.3, local") == (
        TsaAddress("bsre", "https://tsa.contoh.invalid/tsr", "1.2.3"),
        LOCAL_TSA,
    )
    for wrong in (
        "",
        "https://tsa.contoh.invalid",
        "a=ftp://x",
        "local, local",
        "local=https://x",
        "A=https://x",
    ):
        with pytest.raises(ValueError, match="CANTING_TSA_URLS"):
            parse_tsa_urls(wrong)
