"""A throwaway SoftHSM token, and the two key stores that take the same tests."""

from functools import partial

import pytest
import softhsm
from pki import FAST

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


@pytest.fixture(params=["software", "token"])
def any_store(request, tmp_path):
    """An empty key store of either kind: PASSPHRASE opens its keys, OFFICIAL those of `official-kepala`."""
    files = SoftwareKeyStore(tmp_path / "keys", cost=FAST)
    if request.param == "software":
        return files
    token = request.getfixturevalue("token")
    softhsm.make_token("official-kepala", OFFICIAL)
    softhsm.start_anew()
    vault_of = partial(TokenKeyStore, softhsm.MODULE)
    return SplitKeyStore(
        files, token, vault_of, partial(names_of_own_tokens, softhsm.MODULE, OFFICIAL_PREFIX)
    )
