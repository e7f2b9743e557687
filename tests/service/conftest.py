"""A permit with a whole life, made once for the tests that only read it; storages of both kinds; commands."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import cases
import pytest
from bundles import Lived, live
from moto.server import ThreadedMotoServer
from operating import CUSTODIANS, ENVIRONMENT, ROOT_PASSPHRASE, Canting
from pki import FAST, NOW

from keys.software import SoftwareKeyStore
from service import cli, clock
from service.config import Settings
from service.database import open_engine
from service.pki.enrol import make_hierarchy
from service.storage import Storage, open_storage


@pytest.fixture(scope="session")
def lived(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder = tmp_path_factory.mktemp("lived")
    engine = open_engine(new_database())
    keys = cases.make_keys(folder / "keys", NOW - timedelta(days=20))
    yield live(engine, open_storage((folder / "storage").as_uri()), keys, NOW)
    engine.dispose()


@pytest.fixture(scope="session")
def bundle(lived: Lived) -> bytes:
    """Its evidence, as it was given then."""
    return lived.bundle(NOW)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="canting",
        aws_secret_access_key="canting-secret",
    )
    client.create_bucket(Bucket="canting")
    client.close()
    yield endpoint
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    """An empty storage: a folder, and a part of a bucket."""
    if request.param == "folder":
        return open_storage((tmp_path / "berkas kota").as_uri())
    return open_storage(
        f"s3://canting/{tmp_path.name}",
        endpoint=request.getfixturevalue("s3_endpoint"),
        access_key="canting",
        secret_key="canting-secret",
    )


# At the command line ------------------------------------------------------------------------------


@pytest.fixture
def installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation's folder, with its settings in the environment."""
    for name in [name for name in os.environ if name.startswith("CANTING_")]:
        monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CANTING_DATA_FOLDER", str(tmp_path / "var"))
    return tmp_path / "var"


@pytest.fixture
def canting(installation: Path, monkeypatch: pytest.MonkeyPatch) -> Canting:
    """Run a `canting` command and return its exit status; a secret comes from a pipe."""

    def run(*arguments: str, secret: str | None = None) -> int:
        fd = []
        if secret is not None:
            reader, writer = os.pipe()
            os.write(writer, f"{secret}\n".encode())
            os.close(writer)
            fd = ["--secret-fd", str(reader)]
        monkeypatch.setattr(sys, "argv", ["canting", *arguments, *fd])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return int(exit_.value.code or 0)

    return run


@pytest.fixture
def prepared(canting: Canting, installation: Path, new_sqlite: str) -> Path:
    """An installation whose database is ready."""
    installation.mkdir()
    shutil.copy(new_sqlite, installation / "canting.sqlite3")
    return installation


@pytest.fixture(scope="session")
def new_sqlite(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A prepared SQLite file, made once by the command itself."""
    folder = tmp_path_factory.mktemp("cli")
    subprocess.run(
        [sys.executable, "-m", "service.cli", "database", "upgrade"],
        env={**os.environ, **ENVIRONMENT, "CANTING_DATA_FOLDER": str(folder)},
        check=True,
        capture_output=True,
    )
    return str(folder / "canting.sqlite3")


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    """Where the root's key is carried away to."""
    return tmp_path / "medium"


@pytest.fixture
def keys(installation: Path, medium: Path) -> SoftwareKeyStore:
    """The keys of the example's ceremony, their passphrases cheap to check."""
    return make_hierarchy(
        Settings(), medium, {"root": ROOT_PASSPHRASE, **CUSTODIANS}, now=clock.now(), cost=FAST
    )
