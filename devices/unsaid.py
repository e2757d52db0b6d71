"""What somebody did not speak of, which is not the same as nothing."""

from enum import Enum
from typing import Final, TypeAlias, TypeVar


class Unsaid(Enum):
    """A member that was left out: it stays as it is."""

    UNSAID = "unsaid"


UNSAID: Final = Unsaid.UNSAID
T = TypeVar("T")
Said: TypeAlias = T | Unsaid
