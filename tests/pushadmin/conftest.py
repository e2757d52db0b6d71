import logging
import logging.config
from collections.abc import Iterator

import pytest
from django.conf import settings


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """The logging of the other tests, after one that configures its own."""
    root = logging.getLogger()
    kept = root.handlers[:]
    yield
    logging.config.dictConfig(settings.LOGGING)
    root.handlers[:] = kept
