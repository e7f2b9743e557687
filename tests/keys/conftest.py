"""A throwaway SoftHSM token, the two key stores that take the same tests, and a ceremony held in either."""

import shutil
from functools import partial

import cases
import pytest
import softhsm
from pki import FAST, NOW

from keys.pkcs11 import TokenKeyStore, names_of_own_tokens
from keys.software import SoftwareKeyStore
from keys.split import SplitKeyStore
from keys.store import OFFICIAL_PREFIX

PASSPHRASE, OFFICIAL = "kunci ruang arsip", "sandi pejabat"


@pytest.fixture
def token(tmp_path, monkeypatch):
    """The store on a new token labelled `permits`, whose PIN is PASSPHRASE."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm.configure(tmp_path)))
    softhsm.make_token("permits", PASSPHRASE)
    softhsm.start_anew()
    return TokenKeyStore(softhsm.MODULE, "permits")


@pytest.fixture
def token_store(token, tmp_path):
    """An empty key store on tokens: PASSPHRASE opens its keys, OFFICIAL those of `official-kepala`."""
    softhsm.make_token("official-kepala", OFFICIAL)
    softhsm.start_anew()
    return store_on_tokens(tmp_path)


def store_on_tokens(folder):
    files, token = SoftwareKeyStore(folder / "keys", cost=FAST), TokenKeyStore(softhsm.MODULE, "permits")
    officials = partial(names_of_own_tokens, softhsm.MODULE, OFFICIAL_PREFIX)
    return SplitKeyStore(files, token, partial(TokenKeyStore, softhsm.MODULE), officials)


@pytest.fixture(params=["software", "token"])
def any_store(request, tmp_path):
    """An empty key store of either kind, opened as `token_store` is."""
    if request.param == "software":
        return SoftwareKeyStore(tmp_path / "keys", cost=FAST)
    return request.getfixturevalue("token_store")


@pytest.fixture
def root_store(tmp_path):
    """An empty store for the root's key, on a medium of its own."""
    return SoftwareKeyStore(tmp_path / "carried away", cost=FAST)


@pytest.fixture(scope="session")
def held_on_tokens(tmp_path_factory):
    """A folder in which a ceremony was held on tokens, once, to be copied."""
    folder = tmp_path_factory.mktemp("held")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(softhsm.configure(folder)))
        softhsm.make_token("permits", PASSPHRASE)
        softhsm.make_token("official-kepala", OFFICIAL)
        softhsm.start_anew()
        root_keys = SoftwareKeyStore(folder / "carried away", cost=FAST)
        cases.hold(store_on_tokens(folder), root_keys, NOW, operations=PASSPHRASE)
    return folder


@pytest.fixture(params=["software", "token"])
def city_store(request, tmp_path, root_store, monkeypatch):
    """A key store of either kind after the ceremony of `cases.PLAN`; `root_store` has its root's key."""
    if request.param == "software":
        store = SoftwareKeyStore(tmp_path / "keys", cost=FAST)
        cases.hold(store, root_store, NOW, operations=PASSPHRASE)
        return store
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm.configure(tmp_path)))
    for name in ("tokens", "keys", "carried away"):
        shutil.copytree(request.getfixturevalue("held_on_tokens") / name, tmp_path / name, dirs_exist_ok=True)
    softhsm.start_anew()
    return store_on_tokens(tmp_path)
