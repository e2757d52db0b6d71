"""What people do in journeys through the dashboard, with a mouse or with the keyboard alone."""

import json
import re
from datetime import date, time
from typing import Any

from django.urls import reverse
from playwright.sync_api import Locator, Page, expect

from campaigns import statistics
from campaigns.models import Bulk
from devices.models import Application
from tests.flows.processes import Gateways
from tests.waiting import eventually

HANDS = ("mouse", "keyboard")
MOST_KEYS = 300  # that somebody presses to come to a control
HOLD = 1  # seconds in which a launch can be undone
Figures = dict[str, int]

# Which way a control is from where the focus is; nothing once it is there.
WAY = """control => {
    const here = document.activeElement;
    if (control === here) return "";
    const before = here.compareDocumentPosition(control) & Node.DOCUMENT_POSITION_PRECEDING;
    return before ? "Shift+Tab" : "Tab";
}"""
# How many options further down a list the one with this value is.
AWAY = """(field, value) =>
    [...field.options].findIndex((each) => each.value === value) - field.selectedIndex"""
# Radio buttons have one tab stop together: whether the focus is in the group of this one.
AT_GROUP = """radio => document.activeElement.type === "radio"
    && document.activeElement.name === radio.name && document.activeElement.form === radio.form"""
# Rows by their first cell, each number by the name of its column.
ROWS = """rows => rows.map((row) => [...row.cells].map(
    (cell) => [cell.dataset.label || "", cell.innerText.replace(/\\s+/g, " ").trim()]))"""


class Hands:
    """Somebody at a page: with a mouse, or by Tab from control to control."""

    def __init__(self, page: Page, by: str) -> None:
        self.page, self.by = page, by

    def reach(self, control: Locator) -> None:
        """Come to a control as somebody does who has no mouse."""
        expect(control).to_be_visible()
        for _ in range(MOST_KEYS):
            key = control.evaluate(WAY)
            if not key:
                return
            self.page.keyboard.press(key)
        raise AssertionError(f"the keyboard does not reach {control}")

    def press(self, control: Locator) -> None:
        expect(control).to_be_enabled()
        if self.by == "mouse":
            control.click()
            return
        self.reach(control)
        self.page.keyboard.press("Enter")

    def write(self, field: Locator, text: str) -> None:
        """Write it in the place of what stands there."""
        if self.by == "mouse":
            field.fill(text)
        else:
            self.reach(field)
            self.page.keyboard.press("ControlOrMeta+a")
            self.page.keyboard.type(text)
        expect(field).to_have_value(text)

    def choose(self, field: Locator, value: str) -> None:
        """Choose from a list, by what the option stands for."""
        if self.by == "mouse":
            field.select_option(value)
            return
        self.reach(field)
        for _ in range(MOST_KEYS):
            away = field.evaluate(AWAY, value)
            if not away:
                return
            self.page.keyboard.press("ArrowDown" if away > 0 else "ArrowUp")
        raise AssertionError(f"the keyboard does not choose {value}")

    def pick(self, radio: Locator) -> None:
        """One of several radio buttons."""
        if self.by == "mouse":
            radio.locator("xpath=ancestor::label").click()
        else:
            for _ in range(MOST_KEYS):
                if radio.evaluate(AT_GROUP):
                    break
                self.page.keyboard.press(radio.evaluate(WAY))
            for _ in range(MOST_KEYS):
                if radio.is_checked():
                    break
                self.page.keyboard.press("ArrowRight")
        expect(radio).to_be_checked()

    def set_day(self, field: Locator, day: date) -> None:
        if self.by == "mouse":
            field.fill(f"{day:%Y-%m-%d}")
        else:
            self.reach(field)
            self.page.keyboard.type(f"{day:%m%d%Y}")
        expect(field).to_have_value(f"{day:%Y-%m-%d}")

    def set_time(self, field: Locator, clock: time) -> None:
        if self.by == "mouse":
            field.fill(f"{clock:%H:%M}")
        else:
            self.reach(field)
            self.page.keyboard.type(f"{clock:%I%M%p}"[:5])  # 0930P
        expect(field).to_have_value(f"{clock:%H:%M}")

    def follow(self, link: Locator, heading: str | re.Pattern[str]) -> None:
        """Open another page, and wait until its scripts run."""
        self.press(link)
        expect(self.page.get_by_role("heading", name=heading, level=1)).to_be_visible()
        self.page.wait_for_load_state("load")


# ------------------------------------------------------------------- what goes out


def everybody_reported(gateways: Gateways) -> None:
    """Wait until every phone has said all it will, and all of it is counted."""

    def reported() -> bool:
        phones = gateways.ask("GET", "/statistics")["phones"]
        said = phones.get("delivered_reported", 0)
        silent = not phones["scheduled"] and not phones["waiting"]
        counted = sum(statistics.funnel(bulk).delivered for bulk in Bulk.objects.all())
        return silent and said == counted

    eventually(reported, seconds=90, what="every phone has reported, and it is counted")


def push_rows(gateways: Gateways) -> list[dict[str, Any]]:
    """What the push clouds took; nobody was sent it twice."""
    rows = [row for row in gateways.messages() if row["provider"] in ("fcm", "apns")]
    assert len({row["token"] for row in rows}) == len(rows)
    return rows


def said(row: dict[str, Any]) -> str:
    return json.dumps(row["payload"], ensure_ascii=False)


# ------------------------------------------------------------------- pages


def new_campaign(hands: Hands, shop: Application) -> None:
    """From the list of campaigns to an empty draft whose scripts run."""
    page = hands.page
    page.goto(reverse("campaigns:list", args=[shop.pk]))
    hands.press(page.get_by_role("button", name="New campaign").first)
    shown = page.locator("#preview .push-text").first
    expect(shown).to_have_text("What you write appears here.")


def in_front(page: Page, label: str) -> Locator:
    """A field of the language and variant that is shown."""
    panel = page.locator("#contents [data-panel]:not([hidden])")
    return panel.get_by_label(re.compile(f"^{label}( optional)?$"))


def say(hands: Hands, title: str, text: str) -> None:
    """Write what the language and variant in front says, and see it in the preview."""
    hands.write(in_front(hands.page, "Title"), title)
    hands.write(in_front(hands.page, "Text"), text)
    expect(hands.page.locator("#preview .push-title").first).to_have_text(title)
    expect(hands.page.locator("#preview .push-text").first).to_have_text(text)


def state(page: Page) -> Locator:
    """The state that the page of a campaign shows."""
    return page.locator(".page-title .state")


def table(part: Locator) -> dict[str, Figures]:
    """The numbers of a table: rows by their first cell, each by the name of its column."""
    found = {}
    for (_, name), *cells in part.locator("tbody tr").evaluate_all(ROWS):
        found[name] = {
            label: int(text.replace(",", ""))
            for label, text in cells
            if re.fullmatch(r"[0-9,]+", text)
        }
    return found
