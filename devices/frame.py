"""What the frame around every page shows: applications, navigation, what needs attention."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from django.conf import settings
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse

from devices.models import Application, ProviderCredential
from devices.permissions import (
    Right,
    applications_of,
    may_see_system,
    rights_of,
)

LAST_APPLICATION = "application"  # key of the session


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the navigation."""

    label: str
    icon: str
    url: str
    keys: str = ""  # shortcut, shown by `?`
    current: bool = False


# name of the page, label, icon, right, shortcut
PAGES = (
    ("campaigns:overview", "Overview", "layout-dashboard", Right.SEE_REPORTS, "g o"),
    ("campaigns:list", "Campaigns", "send", Right.SEE_CAMPAIGNS, "g c"),
    ("campaigns:templates", "Templates", "template", Right.SEE_CAMPAIGNS, "g m"),
    ("campaigns:segments", "Segments", "filter", Right.SEE_CAMPAIGNS, "g s"),
    ("campaigns:scenarios", "Scenarios", "route", Right.SEE_CAMPAIGNS, "g n"),
    ("campaigns:calendar", "Calendar", "calendar-month", Right.SEE_CAMPAIGNS, "g e"),
    ("devices:people", "People", "users", Right.SEE_DEVICES, "g p"),
    ("devices:list", "Devices", "device-mobile", Right.SEE_DEVICES, "g d"),
    ("campaigns:lists", "Lists", "list-details", Right.SEE_CAMPAIGNS, "g l"),
    ("campaigns:attributes", "Attributes", "list-letters", Right.SEE_CAMPAIGNS, "g r"),
    ("campaigns:reports", "Reports", "chart-bar", Right.SEE_REPORTS, "g u"),
    ("devices:base", "Device base", "device-analytics", Right.SEE_REPORTS, "g b"),
    ("devices:imports", "Imports", "table-import", Right.IMPORT_DEVICES, "g i"),
    ("devices:team", "Team", "users-group", Right.MANAGE_TEAM, "g t"),
    ("campaigns:calls", "API calls", "api", Right.SEE_SETTINGS, "g x"),
    ("campaigns:webhooks", "Webhooks", "webhook", Right.SEE_SETTINGS, "g w"),
)
# The four that a phone shows at the bottom: who cannot write campaigns helps people with devices.
BOTTOM = ("Overview", "Campaigns", "People", "Segments", "Devices")
BOTTOM_OF_SUPPORT = ("Overview", "Campaigns", "People", "Devices")
MOST_AT_THE_BOTTOM = 4


@dataclass
class Frame:
    """Asked by base.html; each part costs its query only where a page shows it."""

    request: HttpRequest
    _given: Application | None = field(default=None)

    @property
    def token_cookie(self) -> str:
        """Where the browser keeps what tells its own requests from forged ones."""
        return settings.CSRF_COOKIE_NAME

    @cached_property
    def applications(self) -> list[Application]:
        user = self.request.user
        return applications_of(user) if user.is_authenticated else []

    @cached_property
    def application(self) -> Application | None:
        """That of the page; on pages of no application, the last one seen."""
        given = getattr(self.request, "application", None)
        last: int = self.request.session.get(LAST_APPLICATION, 0)
        if given is not None:
            if last != given.pk:
                self.request.session[LAST_APPLICATION] = given.pk
            found: Application = given
            return found
        known = {application.pk: application for application in self.applications}
        return known.get(last) or next(iter(self.applications), None)

    @cached_property
    def rights(self) -> frozenset[Right]:
        given: frozenset[Right] | None = getattr(self.request, "rights", None)
        if given is not None:
            return given
        return (self.application and rights_of(self.request.user, self.application)) or frozenset()

    @cached_property
    def pages(self) -> list[Entry]:
        """The pages of the application that the reader may open."""
        application = self.application
        if application is None:
            return []
        entries = []
        for name, label, icon, right, keys in PAGES:
            if right in self.rights:
                url = reverse(name, args=[application.pk])
                entries.append(Entry(label, icon, url, keys, self._stands_under(name, url)))
        return entries

    @cached_property
    def bottom_pages(self) -> list[Entry]:
        """The pages a phone shows at the bottom; the others are behind "More"."""
        writes = Right.EDIT_CAMPAIGNS in self.rights or Right.EDIT_DEVICES not in self.rights
        wanted = BOTTOM if writes else BOTTOM_OF_SUPPORT
        known = {entry.label: entry for entry in self.pages}
        return [known[label] for label in wanted if label in known][:MOST_AT_THE_BOTTOM]

    @cached_property
    def more_pages(self) -> list[Entry]:
        return [entry for entry in self.pages if entry not in self.bottom_pages]

    @cached_property
    def administers(self) -> bool:
        """May add applications, manage keys, see the system: one question, asked once."""
        return may_see_system(self.request.user)

    @cached_property
    def settings(self) -> Entry | None:
        """The applications' page, for whoever may see any of it."""
        if Right.SEE_SETTINGS in self.rights or self.administers:
            url = reverse("devices:applications")
            return Entry("Applications", "settings", url, "g a", self.request.path.startswith(url))
        return None

    @cached_property
    def access(self) -> Entry | None:
        """Keys of other systems, for administrators."""
        if not self.administers:
            return None
        url = reverse("devices:access")
        return Entry("API access", "key", url, "g k", self.request.path.startswith(url))

    @cached_property
    def audit(self) -> Entry | None:
        """Who changed what, for administrators."""
        if not self.administers:
            return None
        url = reverse("devices:audit")
        return Entry("Audit", "history", url, "g h", self.request.path.startswith(url))

    @cached_property
    def system(self) -> Entry | None:
        """How the installation is, for administrators."""
        if not self.administers:
            return None
        url = reverse("campaigns:system")
        current = self.request.path.startswith(url)
        return Entry("System", "activity-heartbeat", url, "g y", current)

    @cached_property
    def reference(self) -> Entry | None:
        """What other systems may call, for whoever sees settings."""
        if self.settings is None:
            return None
        url = reverse("reference:calls")
        return Entry("API reference", "api", url, "g f", self.request.path.startswith(url))

    @cached_property
    def settings_pages(self) -> list[Entry]:
        return [
            entry
            for entry in (self.settings, self.access, self.reference, self.audit, self.system)
            if entry is not None
        ]

    @cached_property
    def troubled(self) -> list[ProviderCredential]:
        """Credentials that a cloud refuses: sending through them waits."""
        if self.application is None or not self.rights:
            return []
        return list(
            ProviderCredential.objects.filter(
                Q(paused_at__isnull=False), application=self.application, enabled=True
            ).defer("data")
        )

    @property
    def palette_keys(self) -> str:
        """What opens the palette, as the reader's keyboard calls it; the script knows both."""
        return "⌘ K" if "Mac OS" in self.request.headers.get("User-Agent", "") else "Ctrl K"

    def _stands_under(self, name: str, url: str) -> bool:
        if name == "campaigns:overview":
            return self.request.path == url
        return self.request.path.startswith(url)


def frame(request: HttpRequest) -> dict[str, Any]:
    """Context processor; nothing where a request was refused before anybody was known."""
    return {"frame": Frame(request)} if hasattr(request, "user") else {}
