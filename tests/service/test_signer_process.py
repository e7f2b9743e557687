"""The signer as a process: the web process works without the passphrase and without the keys."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import cases
import pytest
import signing_day
import softhsm
from cryptography.hazmat.primitives.serialization import load_der_private_key
from fastapi.testclient import TestClient
from pki import FAST
from pydantic import SecretStr, ValidationError
from sqlalchemy import Engine

from keys.errors import SignerNotFound
from keys.remote import RemoteKeyVault
from keys.software import SoftwareKeyStore, _decrypted
from service import clock
from service.app import create_app
from service.config import KeySettings, Settings
from service.console import Refused
from service.database import transaction
from service.pki.store import open_store
from service.signer_process import allowed_users, run_signer

ROOT = Path(__file__).parents[2]
NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users may enter, short enough for a socket's name."""
    folder = Path(tempfile.mkdtemp(prefix="canting-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


class Process:
    """`canting signer`, started, killed and started again."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        self.environment, self.log = environment, log
        self.path = Path(environment["CANTING_SIGNER_SOCKET"])
        self.running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.running = subprocess.Popen(
                [sys.executable, "-m", "service.cli", "signer"], cwd=ROOT, env=self.environment, stderr=log
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                RemoteKeyVault(self.path).names()
                return
            except SignerNotFound:
                assert self.running.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def stop(self, number: int) -> int:
        assert self.running is not None
        self.running.send_signal(number)
        status, self.running = self.running.wait(30), None
        return status


@pytest.fixture(params=["files", pytest.param("token", marks=pytest.mark.proof)])
def city_settings(
    request: pytest.FixtureRequest, settings: Settings, place: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """The web process's settings. The service's own keys lie in files, or in a token."""
    keys, officials = place / "keys", place / "officials"
    update: dict[str, object] = {"keys_folder": keys, "officials_folder": officials}
    if request.param == "token":
        monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm.configure(place / "hsm")))
        softhsm.make_token("canting", cases.OPERATIONS_PASSPHRASE)
        softhsm.make_token("official-head", cases.OFFICIAL_PASSPHRASE)
        softhsm.start_anew()
        update |= {"token_module": softhsm.MODULE}
    root_keys = SoftwareKeyStore(place / "root", FAST)
    cases.fill_keys(open_store(settings.model_copy(update=update), FAST), root_keys, clock.now())
    return settings.model_copy(
        update={**update, "signer_socket": place / "signer.sock", "operations_passphrase": SecretStr("")}
    )


@pytest.fixture
def signer(city_settings: Settings, place: Path) -> Iterator[Process]:
    environment = {
        "PATH": os.environ["PATH"],
        "CANTING_BASE_URL": city_settings.base_url,
        "CANTING_KEYS_FOLDER": str(city_settings.keys_folder),
        "CANTING_OPERATIONS_PASSPHRASE": cases.OPERATIONS_PASSPHRASE,
        "CANTING_SIGNER_SOCKET": str(city_settings.signer_socket),
    }
    if city_settings.token_module:
        environment |= {
            "CANTING_TOKEN_MODULE": str(city_settings.token_module),
            "SOFTHSM2_CONF": os.environ["SOFTHSM2_CONF"],
        }
    process = Process(environment, place / "signer.log")
    process.start()
    yield process
    if process.running:
        process.stop(signal.SIGKILL)


def test_a_city_signs_by_a_signers_process(
    city_settings: Settings, signer: Process, engine: Engine, tmp_path: Path
) -> None:
    """Also while the signer is killed in the middle of the day and started again."""
    app = create_app(city_settings, engine)
    with transaction(engine) as session:
        city = cases.make_city(session, clock.now(), settings=city_settings)
    with TestClient(app, follow_redirects=False, raise_server_exceptions=False) as client:
        ((status, told),) = signing_day.sign_a_case(
            client, engine, city_settings, city, cases.OFFICIAL_PASSPHRASE
        )
        assert status == 201, told
        report = signing_day.validate_issued(client, city_settings, told["code"])
        assert (report.indication, report.signature and report.signature.level) == ("TOTAL-PASSED", "B-T")
        signing_day.check_published_pki(client, app, engine, city_settings, tmp_path)

        signer.stop(signal.SIGKILL)
        assert client.get("/log/checkpoint").json()["code"] == "signer_not_found"
        ((status, told),) = signing_day.sign_a_case(
            client, engine, city_settings, city, cases.OFFICIAL_PASSPHRASE
        )
        assert status == 201, told
        report = signing_day.validate_issued(client, city_settings, told["code"])
        assert (report.signature and report.signature.level) == "B-B", (
            "a job stamps it when the signer is back"
        )
        signer.start()

        signing_day.stamp(client, city_settings, tmp_path)
        ((status, told),) = signing_day.sign_a_case(
            client, engine, city_settings, city, cases.OFFICIAL_PASSPHRASE
        )
        assert status == 201, told
    app.state.sandbox.close()
    assert signer.stop(signal.SIGTERM) == 0
    assert not signer.path.exists()
    log = signer.log.read_text()
    assert '"event": "signed"' in log
    assert '"event": "signer_stopped"' in log
    assert cases.OPERATIONS_PASSPHRASE not in log


@pytest.mark.parametrize("city_settings", ["files"], indirect=True)
def test_another_user_of_the_machine_is_refused(signer: Process, city_settings: Settings) -> None:
    """Even where the socket's own mode would let them in."""
    if os.geteuid() != 0:
        pytest.skip("only root may become somebody else")
    signer.path.chmod(0o666)
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        try:
            RemoteKeyVault(signer.path).names()
        except SignerNotFound:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert RemoteKeyVault(signer.path).names()
    assert f'"user": {NOBODY}' in signer.log.read_text()


def test_the_web_process_may_not_have_the_passphrase_too(settings: Settings, place: Path) -> None:
    with pytest.raises(ValidationError, match="is the signer's alone"):
        Settings(
            secret_key=settings.secret_key,
            wrapping_keys=settings.wrapping_keys,
            base_url="https://izin.contoh.invalid",
            operations_passphrase=SecretStr("sandi operasi"),
            signer_socket=place / "signer.sock",
        )


def test_whom_the_signer_answers() -> None:
    own = os.geteuid()
    assert allowed_users(KeySettings()) == {own}
    assert allowed_users(KeySettings(signer_user="nobody")) == {own, NOBODY}
    assert allowed_users(KeySettings(signer_user="10001")) == {own, 10001}
    with pytest.raises(Refused):
        allowed_users(KeySettings(signer_user="tidak-ada"))


def test_a_signer_without_a_socket_is_refused() -> None:
    with pytest.raises(Refused, match="CANTING_SIGNER_SOCKET"):
        run_signer(KeySettings())


@pytest.mark.parametrize("city_settings", ["files"], indirect=True)
@pytest.mark.proof
def test_nothing_of_the_keys_is_in_the_web_process(
    city_settings: Settings, signer: Process, new_database: Callable[[], str], place: Path
) -> None:
    """Neither the passphrase nor a private key, in its environment or anywhere in its memory.

    The same search finds them in the signer, so it would find them here.
    """
    tsa = load_der_private_key(read_key(city_settings, "tsa"), None)
    scalar = tsa.private_numbers().private_value.to_bytes(32, "little")  # type: ignore[union-attr]
    passphrase = cases.OPERATIONS_PASSPHRASE.encode()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "CANTING_ENVIRONMENT": "test",
        "CANTING_BASE_URL": city_settings.base_url,
        "CANTING_DATA_FOLDER": str(place / "var"),
        "CANTING_DATABASE_URL": new_database(),
        "CANTING_SECRET_KEY": city_settings.secret_key.get_secret_value(),
        "CANTING_WRAPPING_KEYS": city_settings.wrapping_keys.get_secret_value(),
        "CANTING_KEYS_FOLDER": str(city_settings.keys_folder),
        "CANTING_OFFICIALS_FOLDER": str(city_settings.officials_folder),
        "CANTING_SIGNER_SOCKET": str(city_settings.signer_socket),
        "CANTING_RUNS_JOBS": "false",
    }
    command = [sys.executable, "-m", "service.cli", "serve", "--port", str(port)]
    web = subprocess.Popen(command, cwd=ROOT, env=environment)
    try:
        wait_for(f"http://127.0.0.1:{port}/log/checkpoint")
        assert signer.running is not None
        found = {process: held_by(process, passphrase, scalar) for process in (signer.running.pid, web.pid)}
    finally:
        web.send_signal(signal.SIGTERM)
        web.wait(30)
    assert found[web.pid] == {"environ": False, "passphrase": False, "key": False}
    assert found[signer.running.pid] == {"environ": True, "passphrase": True, "key": True}


def read_key(settings: Settings, name: str) -> bytes:
    file = (settings.effective_keys_folder / f"{name}.key.json").read_bytes()
    with _decrypted(name, file, cases.OPERATIONS_PASSPHRASE) as der:
        return bytes(der)


def wait_for(address: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            with urlopen(address) as answer:
                assert answer.status == 200
            return
        except URLError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


def held_by(process: int, passphrase: bytes, scalar: bytes) -> dict[str, bool]:
    """Search a process's environment and its writable memory."""
    memory = b"\n".join(written_memory(process))
    return {
        "environ": passphrase in Path(f"/proc/{process}/environ").read_bytes(),
        "passphrase": passphrase in memory,
        "key": scalar in memory,
    }


def written_memory(process: int) -> Iterator[bytes]:
    with Path(f"/proc/{process}/maps").open() as maps, Path(f"/proc/{process}/mem").open("rb", 0) as memory:
        for line in maps:
            if match := re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line):
                begin, end = (int(each, 16) for each in match.groups())
                memory.seek(begin)
                try:
                    yield memory.read(end - begin)
                except OSError:
                    continue
