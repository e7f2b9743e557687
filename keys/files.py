"""Files of a key store: whole or absent after any crash, and their folder's owner's."""

import os
import secrets
from pathlib import Path

from keys.errors import KeyAlreadyExists


def write_file(path: Path, content: bytes, *, mode: int, overwrite: bool = True) -> None:
    """Write a file that is whole or absent after any crash. Raises KeyAlreadyExists unless `overwrite`."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        give_to_owner(descriptor, path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            temporary.replace(path)
        else:
            # A link, unlike a rename, fails when another process has made the file meanwhile.
            path.hardlink_to(temporary)
    except FileExistsError as error:
        raise KeyAlreadyExists(f"{path.name} exists already.") from error
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def give_to_owner(descriptor: int, folder: Path) -> None:
    """Give a file that root made to whom its folder belongs, who shall read it."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(descriptor, owner.st_uid, owner.st_gid)
