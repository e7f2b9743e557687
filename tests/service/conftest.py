"""A permit with a whole life, made once for the tests that only read it, and storages of both kinds."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import boto3
import cases
import pytest
from bundles import Lived, live
from moto.server import ThreadedMotoServer
from pki import NOW

from service.database import open_engine
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
