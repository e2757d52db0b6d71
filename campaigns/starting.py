"""What other systems submitted for later, or for whoever fits a rule: looked up as it starts."""

from django.utils import timezone

from campaigns import ids, intake, spreading
from campaigns.intake import Kind, Rows, Wanted
from campaigns.models import Bulk, Destination, Rejection
from campaigns.spreading import Batch, Spread


def freeze(bulk: Bulk) -> int:
    """Look up whom a bulk of an API goes to, now that it starts; how many devices that is.

    Its row is locked. Devices that one bulk cannot have twice go to a sibling of it.
    """
    if bulk.rule:
        devices = intake.freeze_rule(bulk, Spread(bulk.pace))
        rejection = Rejection.NONE if devices else Rejection.NOBODY
        Destination.objects.filter(bulk=bulk).update(devices=devices, rejection=rejection)
        return devices
    waiting = list(
        Destination.objects.filter(bulk=bulk, registration=None, rejection=0).order_by("pk")
    )
    found = intake.resolve(
        [
            Wanted(
                bulk.application_id,
                Kind(each.asked["kind"]),
                each.asked["value"],
                each.asked["primary_only"],
            )
            for each in waiting
        ]
    )
    batches = [Batch(bulk.pk)]
    siblings: dict[int, Bulk] = {bulk.pk: bulk}
    rows: list[Destination] = []
    for each, devices_of in zip(waiting, found, strict=True):
        each.devices = len(devices_of)
        if not devices_of:
            each.rejection = Rejection.NOBODY
        for number, (key, platform) in enumerate(devices_of):
            batch = next((one for one in batches if key not in one.devices), None)
            if batch is None:
                sibling = _sibling(bulk)
                siblings[sibling.pk] = sibling
                batch = Batch(sibling.pk)
                batches.append(batch)
            batch.devices[key] = platform
            row = each if number == 0 else _copy(each)
            row.bulk = siblings[batch.pk]
            row.registration_id = key
            row.message_from = row.message_to = ids.message_id(row.bulk, key)
            if number:
                rows.append(row)
    Destination.objects.bulk_create(rows)
    Destination.objects.bulk_update(
        waiting,
        ["bulk", "registration", "message_from", "message_to", "devices", "rejection"],
        batch_size=500,
    )
    for batch in batches[1:]:
        Bulk.objects.filter(pk=batch.pk).update(audience=len(batch.devices))
    spread = Spread(bulk.pace)
    intake.write(
        Rows(chunks=spreading.chunks(batches, spread, bulk.starts_at, bulk.window, bulk.ttl))
    )
    return len(batches[0].devices)


def _sibling(bulk: Bulk) -> Bulk:
    """Another bulk of the same message, that is sent at once."""
    made = {
        each.attname: getattr(bulk, each.attname)
        for each in Bulk._meta.concrete_fields
        if each.attname not in {"id", "created_at"}
    }
    made |= {"status": Bulk.Status.SENDING, "frozen_at": timezone.now()}
    return Bulk.objects.create(**made)


def _copy(destination: Destination) -> Destination:
    return Destination(
        submission_id=destination.submission_id,
        public_id=destination.public_id,
        to=destination.to,
        devices=destination.devices,
        starts_at=destination.starts_at,
    )
