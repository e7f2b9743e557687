"""A permit with a whole life, made once: what is tested of its evidence only reads it."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import cases
import pytest
from bundles import Lived, live
from pki import NOW

from service.database import open_engine
from service.storage import open_storage


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
