"""Every route answers: with a page, a part of one, a file, or a refusal to be asked by GET."""

import pytest
from django.test import Client

from tests.pages.addresses import OUT_OF_REACH, addresses, asked, pages, routes
from tests.pages.installation import Installation

pytestmark = pytest.mark.django_db
# Fragments of an address with a query, which the pages they stand on ask for.
OF_A_QUERY = {"campaigns:app-versions", "campaigns:languages", "campaigns:segment-moved"}
# Where a signed-in administrator is sent on to another page.
SENT_ON = {
    "account_login", "account_signup", "account_set_password", "account_confirm_login_code",
    "mfa_authenticate", "mfa_reauthenticate", "mfa_reauthenticate_webauthn",
    "mfa_generate_recovery_codes", "mfa_login_webauthn", "devices:home",
    "devices:application-home",
}  # fmt: skip


def test_every_route_has_a_row_to_show(installation: Installation, administrator: Client) -> None:
    """Whoever adds a route tells tests/pages/installation.py what its page is about."""
    unseen = []
    for name, pattern in routes():
        if name in OUT_OF_REACH | OF_A_QUERY:
            continue
        found = {asked(administrator, each).status_code
                 for each in addresses(pattern, installation.rows)}  # fmt: skip
        fine = {200, 302, 405} if name in SENT_ON else {200, 405}
        if not found & fine:
            unseen.append(f"{name}: {pattern}: {sorted(found)}")

    assert unseen == []


def test_pages_are_found_by_their_routes(installation: Installation, administrator: Client) -> None:
    found = {page.name: page for page in pages(installation, administrator)}

    assert {"campaigns:overview", "campaigns:detail", "campaigns:edit", "devices:list"} <= set(
        found
    )
    assert "campaigns:launch" not in found  # only by POST
    assert "campaigns:segment-members" not in found  # a part of a page
    assert not found["account_login"].signed_in
    assert len(found) > 90
