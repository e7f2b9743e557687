"""A browser of few means: it follows links and redirects, keeps cookies, and fills in forms as they stand.

It fills only fields the page has and chooses only options the page offers, so that a form which does
not ask for something fails here too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2


@dataclass
class Form:
    """A form as the page shows it: what is filled in already, and what may be chosen."""

    action: str
    method: str
    values: dict[str, list[str]] = field(default_factory=dict)
    options: dict[str, set[str]] = field(default_factory=dict)
    """The values of radios, tick boxes and selects."""
    files: set[str] = field(default_factory=set)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.form: Form | None = None
        self.select: str | None = None
        self.textarea: str | None = None
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attributes}
        if tag == "form":
            self.form = Form(given.get("action", ""), given.get("method", "get").lower())
            self.forms.append(self.form)
        elif self.form is not None and "disabled" not in given:
            self._control(tag, given)

    def _control(self, tag: str, given: Mapping[str, str]) -> None:
        assert self.form is not None
        name = given.get("name", "")
        if tag == "input" and name:
            self._input(name, given)
        elif tag == "select":
            self.select = name
            self.form.values.setdefault(name, [""])
        elif tag == "option" and self.select is not None:
            self.form.options.setdefault(self.select, set()).add(given.get("value", ""))
            if "selected" in given:
                self.form.values[self.select] = [given.get("value", "")]
        elif tag == "textarea":
            self.textarea = name

    def _input(self, name: str, given: Mapping[str, str]) -> None:
        assert self.form is not None
        kind = given.get("type", "text")
        if kind == "file":
            self.form.files.add(name)
        elif kind in {"radio", "checkbox"}:
            self.form.options.setdefault(name, set()).add(given.get("value", "on"))
            chosen = self.form.values.setdefault(name, [])
            if "checked" in given:
                chosen.append(given.get("value", "on"))
        elif kind not in {"submit", "button", "image", "reset"}:
            self.form.values.setdefault(name, []).append(given.get("value", ""))

    def handle_data(self, data: str) -> None:
        if self.textarea is not None:
            self.text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self.form is not None and self.textarea is not None:
            self.form.values[self.textarea] = ["".join(self.text).removeprefix("\n")]
            self.textarea, self.text = None, []
        elif tag == "select":
            self.select = None
        elif tag == "form":
            self.form = None


@dataclass(frozen=True)
class Page:
    """What the browser shows now."""

    path: str
    status: int
    text: str

    @property
    def forms(self) -> list[Form]:
        reader = _Forms()
        reader.feed(self.text)
        return reader.forms

    def form(self, action: str) -> Form:
        """Return the form whose action ends so."""
        for form in self.forms:
            if (form.action or self.path).endswith(action):
                return form
        raise AssertionError(f"{self.path} has no form for {action}: {[f.action for f in self.forms]}")


class Browser:
    """One person's browser, with cookies of its own."""

    def __init__(self, base_url: str) -> None:
        self.client = httpx2.Client(
            base_url=base_url, follow_redirects=True, timeout=60, headers={"user-agent": "Firefox/130 Linux"}
        )
        self.page = Page("/", 0, "")

    def open(self, address: str) -> Page:
        """Open an address of the site; anything but 200 is a failure."""
        return self._show(self.client.get(address), 200)

    def submit(
        self,
        action: str,
        values: Mapping[str, str | Sequence[str]] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        *,
        expect: int = 200,
    ) -> Page:
        """Fill in and send the page's form whose action ends so, and show the answer."""
        form = self.page.form(action)
        filled: dict[str, Any] = dict(form.values)
        for name, value in (values or {}).items():
            chosen = [value] if isinstance(value, str) else list(value)
            assert name in form.values, f"{self.page.path} does not ask for {name}: {sorted(form.values)}"
            unknown = set(chosen) - form.options.get(name, set(chosen))
            assert not unknown, f"{self.page.path} does not offer {unknown} for {name}"
            filled[name] = chosen
        assert set(files or {}) <= form.files, f"{self.page.path} takes no file {set(files or {})}"
        address = urljoin(self.page.path, form.action)
        assert form.method == "post"
        return self._show(self.client.post(address, data=filled, files=dict(files or {}) or None), expect)

    def download(self, address: str) -> bytes:
        answer = self.client.get(address)
        assert answer.status_code == 200, f"{address}: {answer.status_code}"
        return answer.content

    def _show(self, answer: httpx2.Response, expected: int) -> Page:
        path = urlsplit(str(answer.url)).path
        if answer.status_code != expected:
            raise AssertionError(
                f"{path} answered {answer.status_code}, not {expected}:\n{answer.text[:3000]}"
            )
        self.page = Page(path, answer.status_code, answer.text)
        return self.page
