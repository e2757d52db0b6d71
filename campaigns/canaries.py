"""Whom a campaign tries first, and whether it goes on after that.

{"share": percent} or {"devices": number} of the audience, drawn at random, get it at once; the
rest is held. So many "minutes" after the last of the first has its outcome, the campaign goes
on by itself if at most "failed" percent of them failed ("then": "go_on"), else it pauses and
somebody decides; with "then": "hold" somebody always does. "asked" is since when.
"""

from typing import Any

from campaigns.models import Bulk, Reason


def wanted(bulk: Bulk) -> bool:
    return bool(bulk.delivery.get("canary"))


# The order in which devices are drawn is that of a hash, seeded with the bulk: each campaign tries
# others first.
RANKED = f"""
drawn AS (
    SELECT *, reason IN (0, {int(Reason.WAITING_FOR_DAY)}) AS goes,
           row_number() OVER (PARTITION BY reason IN (0, {int(Reason.WAITING_FOR_DAY)})
                              ORDER BY hashint8extended(id, %(bulk)s), id) AS place,
           count(*) OVER (PARTITION BY reason IN (0, {int(Reason.WAITING_FOR_DAY)})) AS total
    FROM judged
),
ranked AS (
    SELECT *, goes AND place > CASE WHEN %(first)s::bigint IS NOT NULL THEN %(first)s
                                    ELSE ceil(total * %(share)s::float8 / 100) END AS held
    FROM drawn
)
"""  # noqa: S608


def parameters(bulk: Bulk) -> dict[str, Any]:
    """What RANKED is given."""
    canary = bulk.delivery["canary"]
    return {"first": canary.get("devices"), "share": canary.get("share", 100)}
