import json
import os
import stat
import subprocess
import sys
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pki import FAST, NOW, throwaway_pki

from keys import software
from keys.algorithms import generate_key
from keys.authority import Subject, create_root
from keys.errors import (
    AlgorithmNotSupported,
    KeyAlreadyExists,
    KeyClosed,
    KeyFileDamaged,
    KeyLocked,
    WeakPassphrase,
    WrongPassphrase,
)
from keys.files import write_file
from keys.lockout import wait_after
from keys.software import SoftwareKeyStore

PASSPHRASE = "kunci ruang arsip"


@pytest.fixture
def private_key():
    return generate_key()


@pytest.fixture
def store(tmp_path, private_key):
    """A store that holds the key `seal`."""
    store = SoftwareKeyStore(tmp_path / "keys", cost=FAST)
    certificate = create_root(Subject("Segel"), private_key, now=NOW).certificate
    store.add_key("seal", private_key, [certificate], PASSPHRASE)
    return store


@pytest.mark.parametrize("algorithm", ["p256", "rsa3072", "ed25519"])
def test_a_key_signs_after_it_was_kept(store, algorithm):
    private_key = generate_key(algorithm)
    store.add_key("other", private_key, [], PASSPHRASE)

    opened = store.open_bare_key("other", PASSPHRASE, now=NOW)

    assert opened.public_key == private_key.public_key()
    assert opened.sign(b"data")


def test_nothing_of_the_private_key_or_passphrase_is_readable(store, private_key):
    content = b"".join(path.read_bytes() for path in store.folder.iterdir())

    der = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    secret = private_key.private_numbers().private_value.to_bytes(32, "big")
    assert PASSPHRASE.encode() not in content
    assert secret not in content
    assert der not in content


def test_only_the_owner_reads_keys(store):
    assert stat.S_IMODE(store.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((store.folder / "seal.key.json").stat().st_mode) == 0o600


def test_a_file_records_its_own_cost(store):
    """A store with another cost still opens the keys that were kept before."""
    kept = json.loads((store.folder / "seal.key.json").read_bytes())

    assert (kept["kdf"], kept["memory_kib"]) == ("argon2id", FAST.memory_kib)
    assert SoftwareKeyStore(store.folder).open_key("seal", PASSPHRASE, now=NOW)


def test_the_default_cost_is_the_rfcs():
    cost = software.STRONG

    assert (cost.memory_kib, cost.iterations) == (64 * 1024, 3)


def test_a_passphrase_may_be_composed_either_way(store):
    """A letter with an accent is one code point on some keyboards and two on others."""
    store.change_passphrase("seal", PASSPHRASE, "caf\u00e9 di alun-alun", now=NOW)

    assert store.open_key("seal", "cafe\u0301 di alun-alun", now=NOW)


def test_changing_the_passphrase_shuts_out_the_old_one(store):
    before = (store.folder / "seal.key.json").read_bytes()

    store.change_passphrase("seal", PASSPHRASE, "sandi yang baru", now=NOW)

    assert store.open_key("seal", "sandi yang baru", now=NOW)
    with pytest.raises(WrongPassphrase):
        store.open_key("seal", PASSPHRASE, now=NOW)
    assert json.loads(before)["salt"] != json.loads((store.folder / "seal.key.json").read_bytes())["salt"]


def test_a_failed_change_of_passphrase_changes_nothing(store):
    with pytest.raises(WrongPassphrase):
        store.change_passphrase("seal", "bukan kuncinya", "sandi yang baru", now=NOW)
    with pytest.raises(WeakPassphrase):
        store.change_passphrase("seal", PASSPHRASE, "pendek", now=NOW)

    assert store.open_key("seal", PASSPHRASE, now=NOW)


def test_a_crash_while_writing_leaves_the_old_file(store, monkeypatch):
    def no_space(_descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space"):
            store.change_passphrase("seal", PASSPHRASE, "sandi yang baru", now=NOW)

    assert store.open_key("seal", PASSPHRASE, now=NOW)
    assert {path.name for path in store.folder.iterdir()} == {"seal.key.json", "seal.pem"}


def test_a_key_is_never_overwritten(store):
    with pytest.raises(KeyAlreadyExists):
        store.add_key("seal", generate_key(), [], PASSPHRASE)

    assert store.open_key("seal", PASSPHRASE, now=NOW)


def test_one_of_two_writers_at_once_is_refused(store):
    """The second writer passed the check before the first one's file appeared."""
    path = store.folder / "seal.key.json"

    with pytest.raises(KeyAlreadyExists):
        write_file(path, b"other", mode=0o600, overwrite=False)

    assert store.open_key("seal", PASSPHRASE, now=NOW)


def test_a_short_passphrase_is_refused(store):
    with pytest.raises(WeakPassphrase):
        store.add_key("tsa", generate_key(), [], "1234567")

    assert store.names() == ("seal",)


def test_another_keys_certificate_is_refused(store):
    with pytest.raises(KeyFileDamaged):
        store.add_key("tsa", generate_key(), [throwaway_pki().tsa.certificate], PASSPHRASE)


def test_a_weak_curve_is_refused(store):
    with pytest.raises(AlgorithmNotSupported):
        store.add_key("tsa", ec.generate_private_key(ec.SECP192R1()), [], PASSPHRASE)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file[:-20],
        lambda file: file.replace(b"argon2id", b"argon2ix"),
        lambda file: file.replace(b'"lanes": 1', b'"lanes": 4'),
        lambda file: b"[]",
        lambda file: file.replace(b'"iterations": 1', b'"iterations": "1"'),
    ],
)
def test_a_damaged_file_is_told_from_a_wrong_passphrase(store, damage):
    path = store.folder / "seal.key.json"
    path.write_bytes(damage(path.read_bytes()))

    with pytest.raises(KeyFileDamaged):
        store.open_key("seal", PASSPHRASE, now=NOW)


def test_a_file_under_another_name_does_not_open(store):
    (store.folder / "tsa.key.json").write_bytes((store.folder / "seal.key.json").read_bytes())

    with pytest.raises(KeyFileDamaged):
        store.open_bare_key("tsa", PASSPHRASE, now=NOW)


def test_an_exchanged_certificate_is_noticed(store):
    pem = throwaway_pki().seal.certificate.public_bytes(Encoding.PEM)
    (store.folder / "seal.pem").write_bytes(pem)

    with pytest.raises(KeyFileDamaged):
        store.open_key("seal", PASSPHRASE, now=NOW)


def test_wrong_passphrases_are_counted_beside_the_key(store):
    """Another process, and the same one started again, counts on."""
    for _ in range(5):
        with pytest.raises(WrongPassphrase):
            SoftwareKeyStore(store.folder).open_key("seal", "bukan kuncinya", now=NOW)

    assert stat.S_IMODE((store.folder / "seal.failures").stat().st_mode) == 0o600
    with pytest.raises(KeyLocked):
        store.change_passphrase("seal", PASSPHRASE, "sandi yang baru", now=NOW)
    assert store.names() == ("seal",)
    assert store.open_key("seal", PASSPHRASE, now=NOW + timedelta(minutes=1))
    assert not (store.folder / "seal.failures").exists()


def test_the_wait_is_an_hour_at_most():
    assert [wait_after(failures) for failures in (0, 4, 5, 6)] == [
        timedelta(0),
        timedelta(0),
        timedelta(minutes=1),
        timedelta(minutes=2),
    ]
    assert wait_after(11) == wait_after(10**9) == timedelta(hours=1)


def test_a_clock_that_was_set_back_locks_nobody_out(store):
    for _ in range(5):
        with pytest.raises(WrongPassphrase):
            store.open_key("seal", "bukan kuncinya", now=NOW)

    assert store.open_key("seal", PASSPHRASE, now=NOW - timedelta(days=365))


def test_a_closed_key_signs_no_more(store):
    with store.open_key("seal", PASSPHRASE, now=NOW) as opened:
        assert opened.sign(b"data")

    with pytest.raises(KeyClosed):
        opened.sign(b"data")
    opened.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_what_root_makes_belongs_to_whom_the_folder_belongs(store):
    """An administrator makes keys that the service's user shall read."""
    os.chown(store.folder, 10001, 10002)
    store.generate_key("tsa", "p256", PASSPHRASE, now=NOW)
    with pytest.raises(WrongPassphrase):
        store.open_bare_key("tsa", "bukan kuncinya", now=NOW)

    for name in ("tsa.key.json", "tsa.failures"):
        made = (store.folder / name).stat()
        assert (made.st_uid, made.st_gid, stat.S_IMODE(made.st_mode)) == (10001, 10002, 0o600)


OPEN_AND_SEARCH = """
import re, sys
from datetime import datetime
from pathlib import Path
from keys.software import SoftwareKeyStore

folder, passphrase, now = sys.argv[1:]
def holds(inverted):
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        places = [re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line) for line in maps]
        for begin, end in ((int(each[1], 16), int(each[2], 16)) for each in places if each):
            memory.seek(begin)
            try:
                held = memory.read(end - begin)
            except OSError:
                continue
            # Half of the number is searched for and the rest compared, so that nothing here is found itself.
            for match in re.finditer(re.escape(bytes(each ^ 255 for each in inverted[:8])), held):
                rest = held[match.end():match.end() + len(inverted) - 8]
                if bytes(each ^ 255 for each in rest) == inverted[8:]:
                    return True
    return False

numbers = [Path(folder, name).read_bytes() for name in ("big", "little")]
with SoftwareKeyStore(Path(folder)).open_bare_key("seal", passphrase, now=datetime.fromisoformat(now)) as key:
    assert key.sign(b"data")
    print(any(map(holds, numbers)))
print(any(map(holds, numbers)))
"""


def test_nothing_of_a_closed_key_is_left_in_memory(store, private_key):
    """A process searches its own memory for the private number, while the key is open and afterwards."""
    number = private_key.private_numbers().private_value
    for order in ("big", "little"):
        inverted = bytes(each ^ 255 for each in number.to_bytes(32, order))
        (store.folder / order).write_bytes(inverted)

    command = [sys.executable, "-c", OPEN_AND_SEARCH, str(store.folder), PASSPHRASE, NOW.isoformat()]
    told = subprocess.run(command, capture_output=True, text=True, check=True)

    assert told.stdout.split() == ["True", "False"]
