"""What every dashboard view may use: the typed request; a page or a part of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.http import trigger_client_event

if TYPE_CHECKING:
    from django.contrib.auth.models import User
    from django.db.models import QuerySet
    from django_htmx.middleware import HtmxDetails

M = TypeVar("M", bound=Model)


class DashboardRequest(HttpRequest):
    """The request of a signed-in person, for views behind a login."""

    user: "User"
    htmx: "HtmxDetails"


def page_or_partial(
    request: HttpRequest,
    page: str,
    partial: str,
    context: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
) -> HttpResponse:
    """Render a page, or only its partial when htmx asks for a part of it.

    One address then has two answers, so caches are told what they differ by.
    """
    htmx: HtmxDetails = request.htmx  # type: ignore[attr-defined]
    wants_part = bool(htmx) and not htmx.boosted and not htmx.history_restore_request
    template = f"{page}#{partial}" if wants_part else page
    response = render(request, template, dict(context or {}), status=status)
    response.headers["Vary"] = ", ".join(
        filter(None, [response.headers.get("Vary"), "HX-Request", "HX-Boosted"])
    )
    return response


def searched(request: HttpRequest) -> str:
    """What was typed into the search field of a list; text columns hold no NUL."""
    return request.GET.get("q", "").replace("\x00", "").strip()


SIZES = (25, 50, 100)  # rows of a page
MOST_COUNTED = 10_000  # a longer list says "more than"


@dataclass(frozen=True, slots=True)
class Pager(Generic[M]):
    """Some rows of a long list, and the addresses of its neighbours: `_pagination.html`."""

    rows: Sequence[M]
    text: str  # "1,284 devices", "More than 10,000 devices"
    size: int
    sizes: Sequence[tuple[int, str]]  # each with the address that chooses it
    previous_url: str  # empty: these are the newest
    next_url: str  # empty: these are the oldest


def newest_first(
    request: HttpRequest,
    rows: "QuerySet[M]",
    *,
    one: str,
    many: str,
    total: int | None = None,
    if_many: Callable[[], int | None] = lambda: None,
) -> Pager[M]:
    """A page of rows by falling key, found by its neighbour's key: as fast at row 1,000,000.

    `?after=KEY` are older rows, `?before=KEY` newer ones; a key that is none starts anew.
    `total`: how many there are, where the caller knows; else they are counted up to a limit,
    and `if_many` may know what is above it.
    """
    size = {str(each): each for each in SIZES}.get(request.GET.get("rows", ""), SIZES[1])
    after, before = _key(rows, request.GET.get("after")), _key(rows, request.GET.get("before"))
    if before is not None:
        page = list(rows.filter(pk__gt=before).order_by("pk")[: size + 1])
        newer, older = len(page) > size, True
        page = page[:size][::-1]
    else:
        found = rows if after is None else rows.filter(pk__lt=after)
        page = list(found.order_by("-pk")[: size + 1])
        newer, older = after is not None, len(page) > size
        page = page[:size]
    if total is None:
        complete = not newer and not older
        total = len(page) if complete else rows.order_by()[: MOST_COUNTED + 1].count()
    known = if_many() if total > MOST_COUNTED else total
    number = f"More than {MOST_COUNTED:,}" if known is None else f"{known:,}"
    return Pager(
        rows=page,
        text=f"{number} {one if total == 1 else many}",
        size=size,
        sizes=[(each, address(request, rows=each, after=None, before=None)) for each in SIZES],
        previous_url=address(request, before=page[0].pk, after=None) if page and newer else "",
        next_url=address(request, after=page[-1].pk, before=None) if page and older else "",
    )


def _key(rows: "QuerySet[M]", typed: str | None) -> Any:
    try:
        return rows.model._meta.pk.to_python(typed) if typed else None
    except ValidationError:
        return None


def address(request: HttpRequest, **changed: object) -> str:
    """The address of this page with some of its query changed; None takes a part away."""
    query = request.GET.copy()
    for name, value in changed.items():
        query.pop(name, None)
        if value is not None:
            query[name] = str(value)
    return f"?{query.urlencode()}"


def toast(response: HttpResponse, text: str, level: str = "success") -> HttpResponse:
    """Let the answer to an htmx request also say something in a corner of the page."""
    return trigger_client_event(response, "toast", {"text": text, "level": level})
