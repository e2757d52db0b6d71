"""Nothing that opens a door or names a person gets into a log.

Log calls pass ids, never secrets. This is the net below: texts of exceptions and of other
people's libraries also end up in logs.
"""

import re
from typing import Any

MASK = "[masked]"
# A field of one of these names, or one that ends so (device_token), is masked whatever it holds.
NAMES = re.compile(
    r"(?:^|_)(?:tokens?|key|password|secret|authorization|cookie|phone|msisdn|e?mail)$",
    re.IGNORECASE,
)
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
WHOLE = re.compile(
    r"-----BEGIN .*?(?:-----END [A-Z ]+-----|$)"  # a key file
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"  # an e-mail address
    r"|\+\d{7,15}\b|(?<![\w.-])\d{10,15}(?![\w.-])",  # a phone number
    re.DOTALL,
)
NAMED = re.compile(
    r"""(\b(?:Bearer|Basic|App|IBSSO)\s+)[^\s"'\\,;]{8,}"""  # Authorization: …
    r"""|(\b(?:\w*token|password|secret|api_?key|authorization)(?:=|[\\"']+\s*[:=]\s*[\\"']+))"""
    r"""[^\s"'\\&,;]+""",
    re.IGNORECASE,
)
LONG = re.compile(r"[A-Za-z0-9_:-]{32,}")  # device tokens, API keys, application codes


def mask(text: str) -> str:
    """A text without secrets. Ids that are UUIDs stay: they lead to the rows."""
    text = WHOLE.sub(MASK, text)
    text = NAMED.sub(_keep_the_name, text)
    return LONG.sub(_mask_unless_harmless, text)


def _keep_the_name(found: "re.Match[str]") -> str:
    value = found.group(0)[len(found.group(1) or found.group(2)) :]
    scheme = found.group(1)
    # "App" and "Basic" also begin sentences: a value holds more than letters.
    if scheme is not None and value.rstrip(".:").isalpha():
        return found.group(0)
    return f"{scheme or found.group(2)}{MASK}"


def _mask_unless_harmless(found: "re.Match[str]") -> str:
    text = found.group(0)
    mixed = any(c.isdigit() for c in text) and any(c.isalpha() for c in text)
    return text if UUID.fullmatch(text) or not mixed else MASK


def mask_fields(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """A structlog processor: fields by their name."""
    return {name: MASK if NAMES.search(name) else value for name, value in event.items()}


def mask_line(logger: Any, method: str, line: str) -> str:
    """The last processor: the line as it is about to be written, tracebacks included."""
    return mask(line)
