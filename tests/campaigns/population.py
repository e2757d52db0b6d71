"""Many devices and people with the skew of real ones, made by the database itself."""

import time

from django.db import connection

from devices.models import Application

SHARE_OF_PEOPLE = 0.4  # people to a device

PEOPLE = """
INSERT INTO devices_person (first_name, last_name, middle_name, gender, birthday, kind, tags,
                            attributes, created_at, changed_at)
SELECT 'Ana', 'P' || n, '', (ARRAY['', 'MALE', 'FEMALE'])[1 + n %% 3],
       CASE WHEN n %% 5 > 0 THEN date '1950-01-01' + (random() * 20000)::int END,
       (ARRAY['LEAD', 'CUSTOMER'])[1 + n %% 2],
       (CASE WHEN random() < 0.1 THEN '{news}' ELSE '{}' END)::text[]
           || (CASE WHEN random() < 0.02 THEN '{vip}' ELSE '{}' END)::text[]
           || (CASE WHEN random() < 0.0002 THEN '{staff}' ELSE '{}' END)::text[],
       jsonb_build_object('loyalty', (random() * random() * 1000)::int),
       now(), now()
FROM generate_series(1, %s) n
RETURNING id
"""
IDENTITIES = """
INSERT INTO devices_identity (kind, value, person_id)
SELECT 1, 'u-' || id, id FROM devices_person WHERE id BETWEEN %s AND %s
"""
DEVICES = """
INSERT INTO devices_registration (
    application_id, person_id, platform, app_version, os_version, sdk_version, language,
    manufacturer, model, timezone_offset, enabled, notifications_enabled, "primary", secure,
    created_at, last_seen_day, person_tags, attributes)
SELECT %s, p.id, d.platform,
       -- versions 4.0 to 4.14, the newest the most common, each with patches
       (4::bigint << 48) | (least(14, (16 * sqrt(random()))::int)::bigint << 32)
           | ((random() * 3)::bigint << 16) | 1,
       ((12 + (random() * 6)::int)::bigint << 48) | 1, (2::bigint << 48) | 1,
       (ARRAY['en', 'en', 'en', 'en', 'en-GB', 'es', 'fr', 'de', 'de-AT', 'pt'])[
           1 + floor(random() * 10)::int],
       CASE d.platform WHEN 2 THEN 'Apple' WHEN 3 THEN 'HUAWEI'
            ELSE (ARRAY['samsung', 'Xiaomi', 'Google'])[1 + floor(random() * 3)::int] END,
       'model ' || (random() * random() * 400)::int,
       (ARRAY[-480, -300, 0, 60, 60, 120, 330, 540])[1 + floor(random() * 8)::int],
       random() < 0.95, random() < 0.7, false, random() < 0.8,
       now() - (1 - d.number::float / d.devices) * 700 * interval '1 day',
       current_date - (random() * random() * 200)::int,
       coalesce(p.tags, '{}'),
       jsonb_build_object(
           'plan', (ARRAY['free', 'free', 'free', 'free', 'free', 'free', 'free', 'free', 'plus',
                          'plus', 'plus', 'plus', 'plus', 'gold'])[1 + floor(random() * 14)::int],
           'ltv', (random() * random() * random() * 400)::int,
           'bought', (current_date - (random() * 400)::int)::text)
       || CASE WHEN random() < 0.004 THEN '{"vip": true}'::jsonb ELSE '{}' END
FROM (
    SELECT (ARRAY[1, 1, 1, 1, 1, 2, 2, 2, 3, 4])[1 + floor(random() * 10)::int] AS platform,
           CASE WHEN random() < 0.8 THEN %s + floor(random() * %s)::bigint END AS owner,
           number, %s AS devices
    FROM generate_series(1, %s) number
) d
LEFT JOIN devices_person p ON p.id = d.owner
ORDER BY d.number
"""


def populate(application: Application, devices: int) -> None:
    """Write devices, people and their external ids; leave the tables as autovacuum would."""
    people = int(devices * SHARE_OF_PEOPLE)
    with connection.cursor() as cursor:
        cursor.execute("SELECT setseed(0.25)")
        cursor.execute(f"WITH made AS ({PEOPLE}) SELECT min(id), max(id) FROM made", [people])
        first, last = cursor.fetchone()
        cursor.execute(IDENTITIES, [first, last])
        cursor.execute(DEVICES, [application.pk, first, people, devices, devices])
        for table in ("devices_person", "devices_identity", "devices_registration"):
            cursor.execute(f"ANALYZE {table}")


VISIBLE = """
SELECT relallvisible >= relpages * 0.99 FROM pg_class WHERE oid = 'devices_registration'::regclass
"""


def vacuum(*, seconds: float = 60) -> None:
    """Mark what is visible to all, as index-only scans need it. Not inside a transaction.

    A transaction elsewhere, such as autovacuum's, may keep rows from being so for a while.
    """
    until = time.monotonic() + seconds
    with connection.cursor() as cursor:
        while True:
            cursor.execute("VACUUM ANALYZE devices_registration, devices_person, devices_identity")
            cursor.execute(VISIBLE)
            if cursor.fetchone()[0]:
                return
            assert time.monotonic() < until, "something holds an old snapshot"
            time.sleep(0.2)
