"""People at a million: the list, the search by each identity, and the page of a busy person.

`python3 manage.py bench people [--people 1000000]`. In one process, through the whole middleware;
the search looks for a different person each time. The baseline, in the same run, is the search as
Django's admin would do it: `icontains` over every column that names somebody.
"""

import argparse
import os
import time
import uuid
from datetime import timedelta
from functools import reduce
from operator import or_
from statistics import median

os.environ.setdefault("ALLOWED_HOSTS", "testserver")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.models import Q  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks.pages import measure  # noqa: E402
from benchmarks.results import Row, Table, report  # noqa: E402
from campaigns import ids, partitions  # noqa: E402
from campaigns.models import Bulk, Campaign, Message  # noqa: E402
from devices.models import Address, Application, Identity, Person, Registration  # noqa: E402

SEARCH_GOAL = 300  # milliseconds, at a million people
PAGE_GOAL = 200  # milliseconds, with 50 devices and 5,000 messages
DEVICES = 50  # of the busy person
MESSAGES = 5000
TAGGED = 5000  # people with the tag that is searched: one in so many
CAMPAIGNS = MESSAGES // DEVICES

# Names are drawn from so many that a beginning of four letters is shared by some hundred people.
PEOPLE = """
WITH made AS (
    INSERT INTO devices_person (first_name, last_name, middle_name, gender, kind, tags, attributes,
        created_at, changed_at)
    SELECT initcap(substr(md5('first' || n %% 20000), 1, 7)),
           initcap(substr(md5('last' || n), 1, 9)), '', '', 'CUSTOMER',
           CASE WHEN n %% %(tagged)s = 0 THEN '{vip,news}' ELSE '{news}' END::text[],
           jsonb_build_object('loyalty', n %% 1000), now(), now()
    FROM generate_series(1, %(people)s) n
    RETURNING id
)
SELECT min(id), max(id) FROM made
"""
IDENTITIES = """
INSERT INTO devices_identity (kind, value, person_id)
SELECT k.kind, CASE k.kind WHEN 1 THEN 'crm-' || id WHEN 2 THEN (447000000000 + id)::text
                           ELSE 'user' || id || '@example.com' END, id
FROM devices_person CROSS JOIN (VALUES (1), (2), (3)) AS k (kind)
WHERE id BETWEEN %(first)s AND %(last)s
"""
# One device for each person, and DEVICES more for the busy one.
REGISTRATIONS = """
WITH made AS (
    INSERT INTO devices_registration (application_id, person_id, platform, language, app_version,
        os_version, sdk_version, enabled, notifications_enabled, "primary", manufacturer, model,
        person_tags, attributes)
    SELECT %(application)s, p.id, 1 + p.id %% 2, 'en', 1, 0, 0, true, true, false, 'Apple',
           'iPhone', p.tags, '{}'
    FROM devices_person p,
         generate_series(1, CASE WHEN p.id = %(busy)s THEN %(devices)s ELSE 1 END)
    WHERE p.id BETWEEN %(first)s AND %(last)s
    RETURNING id
)
INSERT INTO devices_address (registration_id, application_id, public_id, provider, kind,
    environment, token, token_digest, closed_reason, closed_answer, app_version, os_version,
    sdk_version, device_name)
SELECT id, %(application)s, gen_random_uuid(), 'apns', 'token', 'production',
       md5(id::text) || md5('x' || id), sha256((md5(id::text) || md5('x' || id))::bytea),
       '', '', '', '', '', ''
FROM made
"""
TABLES = "devices_person, devices_identity, devices_registration, devices_address"


def populate(application: Application, people: int) -> tuple[int, int, int]:
    """Keys of the first and the last of so many people, and of the busy one among them."""
    values = {"application": application.pk, "people": people, "tagged": TAGGED}
    with connection.cursor() as cursor:
        cursor.execute(PEOPLE, values)
        first, last = cursor.fetchone()
        busy = (first + last) // 2
        values |= {"first": first, "last": last, "busy": busy, "devices": DEVICES}
        cursor.execute(IDENTITIES, values)
        cursor.execute(REGISTRATIONS, values)
        cursor.execute(f"VACUUM ANALYZE {TABLES}")
    return first, last, busy


def send(application: Application, busy: int) -> None:
    """MESSAGES messages to the devices of the busy person, by campaigns of the last days."""
    devices = list(Registration.objects.filter(person=busy).values_list("pk", flat=True))
    now = timezone.now()
    messages = []
    for number in range(CAMPAIGNS):
        at = now - timedelta(minutes=number)
        campaign = Campaign.objects.create(application=application, name=f"Sale {uuid.uuid4()}")
        bulk = Bulk.objects.create(
            application=application, campaign=campaign, starts_at=at, status=Bulk.Status.DONE,
            content=[{"language": "", "variant": 0, "title": "Sale", "text": "Today only"}],
        )  # fmt: skip
        messages += [
            Message(
                id=ids.message_id(bulk, device), bulk=bulk, registration_id=device, sent_at=at,
                state=Message.State.ACCEPTED, platform=1,
            )
            for device in devices
        ]  # fmt: skip
    Message.objects.bulk_create(messages, batch_size=1000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE campaigns_message")


def searches(first: int, last: int) -> dict[str, list[str]]:
    """What is typed, by what it is; people from all over the table."""
    keys = [first + (last - first) * part // 11 for part in range(1, 11)]
    people = Person.objects.in_bulk(keys)
    addresses = Address.objects.filter(registration__person__in=keys)
    ids_and_tokens = list(addresses.values_list("public_id", "token")[:10])
    return {
        "external id": [f"crm-{key}" for key in keys],
        "phone": [f"+{447000000000 + key}" for key in keys],
        "e-mail": [f"USER{key}@example.com" for key in keys],
        "registration id": [str(public_id) for public_id, _ in ids_and_tokens],
        "end of a token": [token[-8:] for _, token in ids_and_tokens],
        "last name": [people[key].last_name for key in keys],
        "first and last name": [
            f"{people[key].first_name} {people[key].last_name}" for key in keys
        ],
        "beginning of a name": [people[key].first_name[:4] for key in keys],
        "beginning of a phone": [str(447000000000 + key)[:9] for key in keys],
        "beginning of a registration id": [str(public_id)[:8] for public_id, _ in ids_and_tokens],
        "tag": ["vip"],
        "beginning of a tag": ["VI"],
        "beginning of a tag that everybody has": ["ne"],
    }


def as_an_admin_would(typed: str) -> list[int]:
    """The first page of people with what was typed anywhere in a column that names them."""
    columns = ("first_name", "last_name", "identities__value")
    anywhere = reduce(or_, (Q(**{f"{column}__icontains": typed}) for column in columns))
    people = Person.objects.filter(anywhere).distinct().order_by("-pk")
    return list(people.values_list("pk", flat=True)[:50])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    settings.ALLOWED_HOSTS = ["*"]
    settings.STORAGES["staticfiles"]["BACKEND"] = (
        "django.contrib.staticfiles.storage.StaticFilesStorage"
    )
    partitions.make_ahead()
    application = Application.objects.create(name=f"bench {uuid.uuid4()}")
    first, last, busy = populate(application, options.people)
    send(application, busy)
    user = User.objects.create_superuser(f"bench-{uuid.uuid4()}", password=str(uuid.uuid4()))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    base = f"/apps/{application.pk}/people/"

    def ask(address: str, typed: str = "") -> None:
        response = client.get(address, {"q": typed} if typed else {})
        assert response.status_code == 200, f"{address}: {response.status_code}"
        assert not typed or b"row-link" in response.content, f"{typed} names nobody"

    rows = []
    for name, address, goal in (
        ("people list", base, None),
        ("people list, far down", f"{base}?after={first + 1000}", None),
        ("page of a person", f"{base}{busy}/", PAGE_GOAL),
        ("timeline on it", f"{base}{busy}/timeline/", PAGE_GOAL),
    ):
        slow = measure(lambda address=address: ask(address), options.rounds)  # type: ignore[misc]
        note = f"median {slow.median:.1f} ms"
        rows.append(Row(f"{name}, 95 of 100 below", slow.p95, "ms", note, ceiling=goal))
    medians = []
    for name, typed in searches(first, last).items():
        turns = iter(typed * (options.rounds + 1))
        slow = measure(lambda turns=turns: ask(base, next(turns)), options.rounds)  # type: ignore[misc]
        medians.append(slow.median)
        note = f"median {slow.median:.1f} ms"
        row = f"search by {name}, 95 of 100 below"
        rows.append(Row(row, slow.p95, "ms", note, ceiling=SEARCH_GOAL))
    times = []
    for typed in searches(first, last)["phone"][:3]:
        began = time.perf_counter()
        assert as_an_admin_would(typed.removeprefix("+")), f"{typed} names nobody"
        times.append((time.perf_counter() - began) * 1000)
    anywhere = median(times)
    rows += [
        Row("baseline: icontains over the same columns", anywhere, "ms"),
        Row("baseline / whole page of the slowest search", anywhere / max(medians), "x"),
    ]
    people, identities = Person.objects.count(), Identity.objects.count()
    title = f"{people:,} people with {identities:,} identities"
    how = f"manage.py bench people --people {options.people} --rounds {options.rounds}"
    report(Table("people", title, how, rows))


if __name__ == "__main__":
    main()
