"""Every page in a real Chromium: no accessibility violation, no sideways scrolling, nothing on the console.

Screenshots at phone and desktop width are left in `var/screenshots`, for people to look at.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from browsing import SCREENSHOTS, violations
from playwright.sync_api import Page

if TYPE_CHECKING:
    from conftest import Site

WIDTHS = (360, 1280)

pytestmark = pytest.mark.browser


def paths(site: "Site") -> dict[str, list[str]]:
    """Every page by whom it is for; `{…}` of the routes filled with real ones."""
    draft, returned, case = site.draft.id, site.returned.id, site.submitted.id
    ready, permit, selection = site.ready[0].id, site.permit.permit.code, site.select_files()
    return {
        "visitor": [
            "/",
            "/permit-types",
            "/permit-types/sip-tenaga-kesehatan",
            "/register",
            "/sign-in",
            "/forgot-password",
            "/verify",
            "/verify/offline",
            "/verify/batch",
            site.verified,
            f"/v/{permit}",
            f"/v/{permit}?on-day=3&on-month=3&on-year=2027",
            f"/v/{site.revoked.permit.code}",
            f"/v/{site.letter.permit.code}",
            "/v/unknown",
            "/privacy",
            "/accessibility",
            # Not /api/docs: Swagger UI fills it, another project's page with its own colours and landmarks.
            "/nowhere",
        ],
        "citizen": [
            "/applications",
            "/applications/new?type=sip-tenaga-kesehatan",
            "/applications/new?type=sip-tenaga-kesehatan&request=renewal",
            f"/applications/{draft}",
            f"/applications/{draft}/sections/person",
            f"/applications/{draft}/documents",
            f"/applications/{draft}/check",
            f"/applications/{draft}/delete",
            f"/applications/{case}/submitted",
            f"/applications/{case}/track",
            f"/applications/{case}/withdraw",
            f"/applications/{returned}/track",
            f"/applications/{returned}/correct",
            f"/applications/{returned}/correct/fields",
            "/my-permits",
            f"/permits/{permit}",
            f"/permits/{site.letter.permit.code}",
            "/account",
            "/account/profile",
            "/account/password",
            "/account/second-factor",
            "/account/tokens",
        ],
        "front_office": [
            "/officer",
            "/officer?scope=all",
            f"/officer/cases/{case}",
            f"/officer/cases/{case}/actions/forward",
            f"/officer/cases/{case}/actions/return_for_completion",
            f"/officer/cases/{case}/preview",
        ],
        "back_office": ["/officer/permits", f"/officer/cases/{ready}"],
        "department_head": [
            "/sign",
            f"/sign/{ready}",
            f"/sign/batches/{site.batch}",
            f"/sign/batches/{selection}",
            f"/permits/{permit}",
        ],
        "administrator": [
            "/admin/officers",
            "/admin/officers/new",
            f"/admin/officers/{site.city.head.id}",
            "/admin/mandates",
            "/admin/mandates/new",
            "/admin/keys",
            "/officer/permits/health",
        ],
    }


@pytest.mark.parametrize("lang", ["id", "en"])
@pytest.mark.parametrize(
    "role", ["visitor", "citizen", "front_office", "back_office", "department_head", "administrator"]
)
def test_pages_are_accessible_and_fit_a_phone(
    site: "Site", open_page: Callable[..., Page], role: str, lang: str
) -> None:
    people = {
        "visitor": None,
        "citizen": site.city.citizen,
        "department_head": site.city.head,
        "administrator": site.admin,
        **site.city.officers,
    }
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    faults = []
    page = open_page("/healthz", user=people[role], lang=lang)
    for path in paths(site)[role]:
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            answer = page.goto(path)
            assert answer is not None
            if answer.status >= 500 or (answer.status >= 400 and path not in {"/v/unknown", "/nowhere"}):
                faults.append(f"{path}: {answer.status}")
                continue
            faults += [f"{path} at {width}: {fault}" for fault in violations(page)]
            if page.evaluate("document.documentElement.scrollWidth > window.innerWidth"):
                faults.append(f"{path} at {width}: scrolls sideways")
            if lang == "id":
                name = path.strip("/").split("?")[0] or "front"
                for long in (
                    site.permit.permit.code,
                    str(site.draft.id),
                    str(site.batch),
                    site.verified.rpartition("/")[2],
                ):
                    name = name.replace(long, "x")
                page.screenshot(
                    path=SCREENSHOTS / f"{role}-{name.replace('/', '-')}-{width}.png", full_page=True
                )
    assert faults == []
