"""How log lines look: JSON for machines, plain text for people.

Every line carries what it belongs to, as far as that is known: the request, or the task with
its worker, bulk and chunk.
"""

import logging
import re
from typing import Any

import structlog
from structlog.typing import EventDict

from pushadmin.masking import mask_fields, mask_line

# Whoever knows one of these paths may post there; Django logs the paths it refuses.
_SECRET_PATH = re.compile(r"(/callbacks/[a-z]+/[0-9]+/)[^/\s]+")


def mask_paths(_logger: object, _method: str, line: EventDict) -> EventDict:
    """Take the token out of the addresses that gateways report to."""
    event = line.get("event")
    if isinstance(event, str) and "/callbacks/" in event:
        line["event"] = _SECRET_PATH.sub(r"\1…", event)
    return line


SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    mask_paths,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    mask_fields,
]


def logging_settings(*, level: str, as_json: bool) -> dict[str, Any]:
    """Django's LOGGING; what structlog and the standard library log comes out alike.

    Tracebacks never show the values of variables: tokens and keys are among them.
    """
    logging.raiseExceptions = not as_json  # a line that cannot be written shows its arguments
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: list[Any] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
    if as_json:
        last = [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ]
    last.append(mask_line)
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structlog": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED,
                "processors": last,
            }
        },
        "handlers": {"stream": {"class": "logging.StreamHandler", "formatter": "structlog"}},
        "root": {"handlers": ["stream"], "level": level},
        "loggers": {
            "django": {"handlers": [], "propagate": True, "level": level},
            "django.server": {"handlers": [], "propagate": True, "level": level},
            "httpx": {"level": "WARNING"},  # its INFO lines carry whole addresses
            "httpcore": {"level": "WARNING"},
        },
    }
