"""The addresses of all pages, from the routes themselves: a new page cannot be forgotten."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.pages.installation import Installation

PARAMETER = re.compile(r"([\w-]+)/<(?:\w+:)?\w+>")
OF_APIS = ("api", "reference:openapi")  # routes that answer systems, not people
# Routes that need what is only in a mail, in an invitation or on a second factor.
OUT_OF_REACH = {
    "account_confirm_email", "account_reset_password_from_key", "devices:join",
    "mfa_deactivate_totp", "mfa_download_recovery_codes", "mfa_edit_webauthn",
    "mfa_remove_webauthn", "mfa_view_recovery_codes",
}  # fmt: skip


class Page(NamedTuple):
    """An address that answers with a whole page."""

    name: str
    address: str
    signed_in: bool = True


def routes() -> Iterator[tuple[str, str]]:
    """Name and pattern of each route that answers people."""

    def walk(resolver: URLResolver, before: str, space: str) -> Iterator[tuple[str, str]]:
        for each in resolver.url_patterns:
            pattern = before + str(each.pattern)
            if isinstance(each, URLPattern):
                yield f"{space}{each.name}", pattern
            else:
                inner = f"{each.namespace}:" if each.namespace else ""
                yield from walk(each, pattern, space + inner)

    for name, pattern in walk(get_resolver(), "", ""):
        if not name.startswith(OF_APIS):
            yield name, pattern


def addresses(pattern: str, rows: dict[str, list[object]]) -> list[str]:
    """A route with the rows of an installation in the place of its parameters.

    A word that the installation does not know is taken to be a number: enough for a route that
    is not asked by GET.
    """
    words = PARAMETER.findall(pattern)
    template = "/" + PARAMETER.sub(r"\1/%s", pattern)
    return [template % chosen for chosen in product(*(rows.get(word, [1]) for word in words))]


def asked(client: Client, address: str) -> Any:
    """What a browser gets for an address; exceptions are pages of their own there."""
    return client.get(address)


def is_page(answer: Any) -> bool:
    html = answer.headers.get("Content-Type", "").startswith("text/html")
    return answer.status_code == 200 and html and b"<html" in answer.content


def pages(installation: Installation, client: Client) -> list[Page]:
    """Every page once, the lists also where they are empty, and those of a signed-out browser."""
    stranger = Client()
    found = []
    for name, pattern in routes():
        if name in OUT_OF_REACH:
            continue
        for address in addresses(pattern, installation.rows):
            if is_page(asked(client, address)):
                found.append(Page(name, address))
                break
        else:
            address = addresses(pattern, installation.rows)[0]
            if is_page(asked(stranger, address)):
                found.append(Page(name, address, signed_in=False))
    empty = f"/apps/{installation.empty.pk}/"
    for name, pattern in routes():
        if pattern.count("<") == 1 and pattern.startswith("apps/<"):
            address = empty + pattern.partition(">/")[2]
            if is_page(asked(client, address)):
                found.append(Page(f"{name}, empty", address))
    base = f"/apps/{installation.shop.pk}/"
    launched, _, recurring = installation.rows["campaigns"]
    more = {
        "devices, nobody found": f"{base}devices/?q=nobody",
        "people, nobody found": f"{base}people/?q=nobody",
        "campaigns, nothing found": f"{base}campaigns/?q=nothing",
        "calendar, a week": f"{base}calendar/?view=week",
        "compare two": f"{base}campaigns/compare/?campaign={launched}&campaign={recurring}",
        "message log, one state": f"{base}campaigns/{launched}/messages/?state=failed",
        "why not, of a campaign": f"{base}campaigns/{launched}/why-not/?q=p0",
    }
    return found + [Page(name, address) for name, address in more.items()]
