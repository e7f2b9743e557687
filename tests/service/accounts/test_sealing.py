"""Sealed secrets open under their own key and for their own account only."""

import pytest
from cryptography.exceptions import InvalidTag

from service.accounts.sealing import seal, unseal

KEYS = {"now": bytes(range(32)), "older": bytes(32)}
SECRET = "JBSWY3DPEHPK3PXP"


def test_a_sealed_secret_opens_under_its_own_key_for_its_own_account_only() -> None:
    sealed = seal(SECRET, {"older": KEYS["older"]}, "account-1")
    assert unseal(sealed, KEYS, "account-1") == SECRET
    with pytest.raises(InvalidTag):
        unseal(sealed, KEYS, "account-2")
    with pytest.raises(InvalidTag):
        unseal(sealed, {"older": KEYS["now"]}, "account-1")
