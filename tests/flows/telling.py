"""What everybody says of a campaign: rows, counters, the CSV file, pages and their lists."""

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count
from django.test import Client
from django.urls import reverse

from campaigns import reconciling, statistics
from campaigns.models import Bulk, Medium, Message, Reason
from devices.models import Application

Figures = dict[str, int]
Parts = dict[str, Figures]
_S = Message.State
ACCEPTED = (_S.ACCEPTED, _S.DELIVERED, _S.SEEN, _S.CLICKED)
AMONG = {
    "sent": tuple(_S),
    "accepted": ACCEPTED,
    "delivered": ACCEPTED[1:],
    "seen": ACCEPTED[2:],
    "clicked": ACCEPTED[3:],
    "failed": (_S.FAILED,),
    "expired": (_S.EXPIRED,),
}


def told(states: Mapping[int, int]) -> Figures:
    """The figures of messages, from how many are in each state."""
    return {name: sum(states.get(each, 0) for each in among) for name, among in AMONG.items()}


def by_rows(bulk: Bulk, column: str, name: Callable[[Any], str]) -> Parts:
    """What the message rows say."""
    found: dict[str, dict[int, int]] = defaultdict(dict)
    rows = Message.objects.of_bulk(bulk).values_list(column, "state").annotate(number=Count("pk"))
    for value, state, number in rows:
        found[name(value)][state] = number
    return {value: told(states) for value, states in found.items()}


def by_file(lines: Iterable[Mapping[str, str]], column: str) -> Parts:
    """What the CSV file says."""
    states = {state.label: state.value for state in _S}
    found: dict[str, Counter[int]] = defaultdict(Counter)
    for line in lines:
        found[line[column]][states[line["state"]]] += 1
    return {value: told(counted) for value, counted in found.items()}


def by_objects(counted: Iterable[Any], name: Callable[[Any], str]) -> Parts:
    """What the functions say that pages are written from."""
    return {
        name(each): {key: getattr(each, key) for key in AMONG if hasattr(each, key)}
        for each in counted
    }


def by_page(html: str, after: str) -> Parts:
    """What a table of a page says: the one that follows some text."""
    body = html.partition(after)[2].partition("<tbody>")[2].partition("</tbody>")[0]
    found = {}
    for row in body.split("<tr>")[1:]:
        cells = [
            (attributes, re.sub(r"<[^>]*>", "", content).strip())
            for attributes, content in re.findall(r"<td([^>]*)>(.*?)</td>", row, re.DOTALL)
        ]
        labelled = {
            match[1].lower(): number(text)
            for attributes, text in cells
            if (match := re.search(r'data-label="([^"]*)"', attributes))
            if re.fullmatch(r"[\d,]+", text)
        }
        if "tapped" in labelled:
            labelled["clicked"] = labelled.pop("tapped")
        found[cells[0][1]] = labelled
    return found


def number(text: str) -> int:
    return int(text.replace(",", ""))


def agree(said: Parts, *views: Parts) -> bool:
    """Whether each view has the same parts, and what it says of them is what rows say."""
    for view in views:
        assert set(view) == set(said)
        for name, figures in view.items():
            known = {key: value for key, value in figures.items() if key in AMONG}
            assert {"sent", "delivered", "failed"} <= set(known)
            assert known == {key: said[name][key] for key in known}, name
    return True


def figures_of(bulk: Bulk) -> Figures:
    funnel = statistics.funnel(bulk)
    return {key: getattr(funnel, key) for key in AMONG}


def reasons_of(bulk: Bulk) -> Counter[Reason]:
    """Of what ended otherwise than delivered."""
    found = statistics.reasons(bulk)
    return Counter({each.reason: each.count for each in found if each.kind == "failed"})


def text_of(
    client: Client, name: str, shop: Application, campaign: int | None = None, query: str = ""
) -> str:
    place = [shop.pk] if campaign is None else [shop.pk, campaign]
    answer = client.get(reverse(f"campaigns:{name}", args=place) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def log_of(client: Client, bulk: Bulk, **asked: object) -> str:
    query = f"?{urlencode(asked)}"
    return text_of(client, "messages", bulk.application, bulk.campaign_id, query)


def file_of(client: Client, shop: Application, campaign: int | None) -> list[dict[str, str]]:
    answer = client.post(reverse("campaigns:message-file", args=[shop.pk, campaign]))
    assert answer.status_code == 200
    text = answer.getvalue().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def funnel_of(page: str) -> Figures:
    """The line under the funnel, and its figures."""
    line = re.sub(r"<[^>]*>", "", page.partition('id="balance">')[2].partition("</p>")[0])
    found = {words: number(count) for count, words in re.findall(r"([\d,]+) ([a-z ]+)", line)}
    steps = re.sub(r"<[^>]*>", " ", page.partition('id="funnel">')[2].partition("</ol>")[0])
    seen = re.search(r"Seen\s.*?([\d,]+)", steps, re.DOTALL)
    assert seen is not None
    accepted = found["delivered "] + found["accepted without receipt "]
    return {
        "sent": accepted + found["failed "] + found["expired "] + found["unknown "],
        "accepted": accepted,
        "delivered": found["delivered "],
        "seen": number(seen[1]),
        "failed": found["failed "],
        "expired": found["expired "],
    }


def listed(page: str) -> int:
    """How many rows a list says that it has."""
    if "No message fits" in page:
        return 0
    found = re.search(r"(?<!More than )([\d,]+) messages?\b", page)
    assert found is not None
    return number(found[1])


def assert_the_log_agrees(client: Client, bulk: Bulk, said: Figures, **asked: object) -> None:
    """As many rows as each figure counts."""
    assert listed(log_of(client, bulk, **asked)) == said["sent"]
    for state in ("accepted", "delivered", "seen", "clicked", "failed", "expired"):
        found = listed(log_of(client, bulk, **asked, state=state))
        assert found == said[state], (asked, state)


def assert_views_agree(bulk: Bulk, client: Client) -> None:
    """Counters, rows, the file, the campaign's page and the message log, of one send."""
    assert statistics.funnel(bulk) == statistics.recount(bulk)
    assert statistics.funnel(bulk).adds_up
    assert reconciling.differences(bulk) == []
    page = text_of(client, "detail", bulk.application, bulk.campaign_id)
    lines = file_of(client, bulk.application, bulk.campaign_id)
    whole = figures_of(bulk)
    assert funnel_of(page) == {key: whole[key] for key in funnel_of(page)}
    assert len(lines) == len({line["message_id"] for line in lines}) == whole["sent"]
    platforms = by_rows(bulk, "platform", lambda value: Medium(value).label)
    assert agree(
        platforms,
        by_objects(statistics.platforms(bulk), lambda each: each.platform.label),
        by_file(lines, "platform"),
        by_page(page, 'id="platform-title"'),
    )
    for label, figures in platforms.items():
        assert_the_log_agrees(client, bulk, figures, platform=Medium[label.upper()].value)
    reasons = reasons_of(bulk)
    assert reasons == Counter(Reason[line["reason"].upper()] for line in lines if line["reason"])
    for reason, count in reasons.items():
        assert f'?reason={reason.value}">{count:,}</a>' in page
        assert listed(log_of(client, bulk, reason=reason.value)) == count
