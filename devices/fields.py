"""A JSON field that is encrypted at rest."""

import json
from functools import lru_cache
from typing import Any

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.expressions import BaseExpression


@lru_cache(maxsize=4)
def _cipher(keys: tuple[str, ...]) -> MultiFernet:
    if not keys:
        raise ImproperlyConfigured("FIELD_KEYS must hold at least one Fernet key.")
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured("FIELD_KEYS holds a value that is no Fernet key.") from error


def cipher() -> MultiFernet:
    """The cipher of FIELD_KEYS: the first key encrypts, every key decrypts."""
    return _cipher(tuple(settings.FIELD_KEYS))


class EncryptedJSONField(models.BinaryField[Any, Any]):
    """A JSON object, stored as Fernet bytes under FIELD_KEYS.

    It cannot be filtered on. A value whose key has been dropped from FIELD_KEYS raises
    cryptography.fernet.InvalidToken on reading, so that nobody saves an empty one over it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("editable", False)
        super().__init__(*args, **kwargs)

    def get_db_prep_value(
        self, value: Any, connection: BaseDatabaseWrapper, prepared: bool = False
    ) -> Any:
        if isinstance(value, dict):
            value = cipher().encrypt(json.dumps(value).encode())
        return super().get_db_prep_value(value, connection, prepared)

    def from_db_value(
        self, value: Any, expression: BaseExpression, connection: BaseDatabaseWrapper
    ) -> dict[str, Any] | None:
        if value is None:
            return None
        decrypted: dict[str, Any] = json.loads(cipher().decrypt(bytes(value)))
        return decrypted

    def to_python(self, value: Any) -> Any:
        return value

    def value_to_string(self, obj: models.Model) -> str:
        raise TypeError("An encrypted field is not serialised.")


def rotate(stored: bytes) -> bytes:
    """The same value under the first of FIELD_KEYS; raises InvalidToken when no key fits."""
    renewed: bytes = cipher().rotate(stored)
    return renewed


def is_current(stored: bytes) -> bool:
    """Whether a value is under the first of FIELD_KEYS already."""
    try:
        Fernet(settings.FIELD_KEYS[0]).decrypt(stored)
    except InvalidToken:
        return False
    return True


__all__ = ["EncryptedJSONField", "InvalidToken", "cipher", "is_current", "rotate"]
