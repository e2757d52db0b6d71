"""The recipients of a window as they stand now, and the rows of those that get nothing."""

from collections.abc import Sequence

from django.db import connection

from campaigns import excluding
from campaigns.ledger import ClaimedChunk, Row, WindowResult
from campaigns.models import Message, Reason
from campaigns.outcomes import Recipient
from devices.models import Application, Environment, Provider


def never_sent(result: WindowResult) -> list[Row]:
    """What was to be tried again, by a worker that is too late for it: it did not go out."""
    return [
        Row(pk, Message.State.FAILED, Reason.CLOUD_UNAVAILABLE)
        for retry in result.retries
        if not retry.repeated
        for pk in retry.recipients
    ]


def load(wanted: Sequence[int], application: Application) -> dict[int, Recipient]:
    """Addresses and what the content needs of a window's devices, and whom nothing is sent to."""
    excluded = excluding.reasons(application, wanted)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT r.id, r.enabled, r.language, r.app_version,
                   a.provider, a.environment, a.kind, a.token
            FROM devices_registration r
            JOIN devices_address a ON a.registration_id = r.id
            WHERE r.id = ANY(%s)
            """,
            [list(wanted)],
        )
        rows = [(*row, excluded.get(row[0], 0)) for row in cursor.fetchall()]
    return {row[0]: Recipient(*row) for row in rows}


def phone(pk: int, number: str) -> Recipient:
    """What a text message goes to; nowhere if its person was erased while it waited."""
    return Recipient(
        id=pk, enabled=True, language="", app_version=0, provider=Provider.SMS,
        environment=Environment.PRODUCTION, kind="token", token=number,
        excluded=0 if number else Reason.NO_NUMBER,
    )  # fmt: skip


def gate(device: Recipient | None) -> Reason | None:
    """What keeps a device from being sent to, although it was frozen into the audience."""
    if device is None:
        return Reason.REGISTRATION_GONE
    if not device.enabled:
        return Reason.DISABLED
    if device.excluded:  # before what an app may fetch without a token
        return Reason(device.excluded)
    if not device.token:
        return Reason.NO_TOKEN
    return None


def failed(pk: int, device: Recipient | None, reason: Reason) -> Row:
    if device is None:
        return Row(pk, Message.State.FAILED, reason)
    return Row(pk, Message.State.FAILED, reason, "", device.app_version, device.language)


def withdrawn(pk: int, chunk: ClaimedChunk) -> Row:
    """Another step took its place while it waited here."""
    if chunk.repeated:
        return Row(pk, Message.State.UNKNOWN, Reason.NO_ANSWER)
    return Row(pk, Message.State.EXPIRED, Reason.WITHDRAWN)


def too_late(pk: int, chunk: ClaimedChunk, *, quiet: bool = False) -> Row:
    """Its time is over: because our credential was refused all the while, or by itself.

    `quiet`: it ended in the quiet hours of its recipient.
    """
    if chunk.repeated:
        return Row(pk, Message.State.UNKNOWN, Reason.NO_ANSWER)
    if chunk.reason == Reason.CREDENTIAL_REFUSED:
        return Row(pk, Message.State.FAILED, Reason.CREDENTIAL_REFUSED)
    reason = Reason.QUIET_HOURS if quiet else Reason.TOO_LATE
    return Row(pk, Message.State.EXPIRED, reason)
