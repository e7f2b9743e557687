"""Throwaway SoftHSM tokens: a library that keeps tokens in a folder."""

import subprocess
from pathlib import Path

import pkcs11

from keys import pkcs11 as token_store

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")
SO_PIN = "kanari petugas keamanan 6317"
"""Of whoever makes a token: the service never needs it."""


def configure(folder: Path) -> Path:
    """Make a place for tokens; return the file that SOFTHSM2_CONF shall name."""
    (folder / "tokens").mkdir(parents=True)
    configuration = folder / "softhsm2.conf"
    configuration.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    return configuration


def make_token(label: str, pin: str) -> None:
    """Make a token, as `softhsm2-util` or a vendor's tool does; SOFTHSM2_CONF says where."""
    pins = ["--so-pin", SO_PIN, "--pin", pin]
    command = ["softhsm2-util", "--init-token", "--free", "--label", label, *pins]
    subprocess.run(command, check=True, capture_output=True)


def start_anew() -> None:
    """Forget every login, as a process does that ends; the module reads its tokens again."""
    token_store._doors.clear()
    pkcs11.lib(str(MODULE)).reinitialize()
