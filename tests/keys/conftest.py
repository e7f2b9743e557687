"""A throwaway SoftHSM token, and the two key stores that take the same tests."""

import subprocess
from pathlib import Path

import pkcs11
import pytest
from pki import FAST

from keys import pkcs11 as token_store
from keys.pkcs11 import TokenKeyStore
from keys.software import SoftwareKeyStore

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
PASSPHRASE = "kunci ruang arsip"


@pytest.fixture
def token(tmp_path, monkeypatch):
    """The store on a new token labelled `permits`, whose PIN is PASSPHRASE."""
    (tmp_path / "tokens").mkdir()
    configuration = tmp_path / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {tmp_path / 'tokens'}\nlog.level = ERROR\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(configuration))
    pins = ["--so-pin", "petugas keamanan", "--pin", PASSPHRASE]
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", "permits", *pins],
        check=True,
        capture_output=True,
    )
    # The module reads its tokens when it is initialised, once in a process unless told again.
    pkcs11.lib(str(MODULE)).reinitialize()
    token_store._logins.clear()
    return TokenKeyStore(MODULE, "permits")


@pytest.fixture(params=["software", "token"])
def any_store(request, tmp_path):
    """An empty key store of either kind; PASSPHRASE opens its keys."""
    if request.param == "token":
        return request.getfixturevalue("token")
    return SoftwareKeyStore(tmp_path / "keys", cost=FAST)
