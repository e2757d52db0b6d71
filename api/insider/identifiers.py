"""By what Insider's callers know people (contract/insider.md 3, 8)."""

from collections.abc import Mapping

from devices.models import Identity
from devices.reaching import Named, Plain

PREFIX = "INSIDER."
KINDS = {
    "email": Identity.Kind.EMAIL,
    "phone_number": Identity.Kind.PHONE,
    "uuid": Identity.Kind.EXTERNAL_ID,
}


def named(identifiers: Mapping[str, Plain]) -> list[Named]:
    """Identifiers in the order given; what is none of the vendor's is an attribute."""
    return [
        Named(KINDS.get(name.removeprefix(PREFIX), name), value)
        for name, value in identifiers.items()
    ]
