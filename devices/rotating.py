"""Put everything that is encrypted under the first of FIELD_KEYS, so that others can go."""

import dataclasses
from collections.abc import Iterator

from django.apps import apps
from django.db import models, transaction
from django.db.models.functions import Cast

from devices import fields

BATCH = 100  # rows that are locked together


@dataclasses.dataclass(slots=True)
class Rotation:
    """What became of one encrypted column."""

    name: str  # "ProviderCredential.data"
    renewed: int = 0
    current: int = 0  # were under the first key already
    unreadable: list[int] = dataclasses.field(default_factory=list)  # rows that no key opens

    @property
    def values(self) -> int:
        return self.renewed + self.current + len(self.unreadable)


def encrypted_fields() -> Iterator[tuple[type[models.Model], str]]:
    """Every encrypted column there is."""
    for model in apps.get_models():
        for each in model._meta.concrete_fields:
            if isinstance(each, fields.EncryptedJSONField):
                yield model, each.name


def rotate_field(model: type[models.Model], name: str) -> Rotation:
    """Re-encrypt a column batch by batch; one that is interrupted is begun anew.

    Rows are locked while they are read and written, so that nothing somebody saves meanwhile is
    lost; who reads them is not held up. They do not count as changed: connections stay.
    """
    rotation = Rotation(f"{model.__name__}.{name}")
    after = 0
    while True:
        with transaction.atomic():
            rows: models.QuerySet[models.Model, tuple[int, bytes]] = (
                models.QuerySet(model)
                .select_for_update()
                .filter(pk__gt=after, **{f"{name}__isnull": False})
                .order_by("pk")
                .values_list("pk", Cast(name, models.BinaryField()))[:BATCH]
            )
            for after, stored in rows:
                _renew(rotation, model, name, after, bytes(stored))
        if len(rows) < BATCH:
            return rotation


def _renew(
    rotation: Rotation, model: type[models.Model], name: str, pk: int, stored: bytes
) -> None:
    if fields.is_current(stored):
        rotation.current += 1
        return
    try:
        renewed = fields.rotate(stored)
    except fields.InvalidToken:
        rotation.unreadable.append(pk)
        return
    models.QuerySet(model).filter(pk=pk).update(**{name: renewed})
    rotation.renewed += 1
