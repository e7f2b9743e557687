"""Opening the key store that the settings name: encrypted files, tokens, or a signer's process."""

from functools import partial

from keys.pkcs11 import TokenKeyStore, names_of_own_tokens
from keys.remote import RemoteKeyVault
from keys.software import STRONG, KdfCost, SoftwareKeyStore
from keys.split import SplitKeyStore
from keys.store import OFFICIAL_PREFIX, KeyStore, KeyVault
from service.config import KeySettings


def open_store(settings: KeySettings, cost: KdfCost = STRONG) -> KeyStore:
    """Return the city's key store.

    Roots and what is published lie in the keys' folder. With a PKCS #11 module, the service's own keys are
    in the token of the settings, and each official's in a token labelled with the key's name. With a
    signer's socket, the service's own keys are asked of the signer.
    """
    files = SoftwareKeyStore(settings.effective_keys_folder, cost)
    operations = _operations_vault(settings, files)
    if settings.token_module:
        vault_of = partial(TokenKeyStore, settings.token_module)
        names = partial(names_of_own_tokens, settings.token_module, OFFICIAL_PREFIX)
        return SplitKeyStore(files, operations, vault_of, names)
    if settings.signer_socket is None and settings.officials_folder is None:
        return files
    officials = SoftwareKeyStore(settings.officials_folder or files.folder, cost)
    return SplitKeyStore(files, operations, lambda _name: officials, partial(_official_names, officials))


def _operations_vault(settings: KeySettings, files: SoftwareKeyStore) -> KeyVault:
    if settings.signer_socket:
        return RemoteKeyVault(settings.signer_socket)
    return own_vault(settings) if settings.token_module else files


def own_vault(settings: KeySettings) -> KeyVault:
    """Return where the service's own keys are kept, whoever asks: what a signer's process opens."""
    if settings.token_module:
        return TokenKeyStore(settings.token_module, settings.token_label, is_lasting=True)
    return SoftwareKeyStore(settings.effective_keys_folder)


def _official_names(officials: SoftwareKeyStore) -> list[str]:
    return [name for name in officials.names() if name.startswith(OFFICIAL_PREFIX)]
