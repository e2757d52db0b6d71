"""A call as it is typed into a shell."""

import json
import re
from typing import Any
from urllib.parse import quote

from api.openapi.calls import JSON, Call, Family, security_of

CREDENTIALS = {
    "apiKey": '"Authorization: App $KEY"',
    "applicationCode": '"Authorization: App $CODE"',
    "huaweiSignature": '"X-HUAWEI-CALLBACK-ID: $SIGNATURE"',
}
HEADERS = {
    "AppCode": '"AppCode: $CODE"',
    "X-INSIDER-API-KEY": '"X-INSIDER-API-KEY: $KEY"',
    "X-Twilio-Signature": '"X-Twilio-Signature: $SIGNATURE"',
}


def command(base_url: str, family: Family, call: Call) -> str:
    """With the example's body, and variables for whatever only the caller knows."""
    path = re.sub(r"\{(\w+)\}", r"$\1", call.path)
    query = "&".join(
        f"{each.name}={_example(each.shape, each.name)}"
        for each in call.parameters
        if each.where == "query" and each.required
    )
    lines = [f'curl -sS "{base_url}{path}{"?" + query if query else ""}"']
    if call.method.upper() not in {"GET", "POST"} or (call.method == "post" and call.body is None):
        lines[0] += f" -X {call.method.upper()}"
    known = security_of(family, call)
    lines += [f"-H {CREDENTIALS[name]}" for name in known if name in CREDENTIALS]
    lines += [
        f"-H {HEADERS[each.name]}"
        for each in call.parameters
        if each.where == "header" and each.name in HEADERS
    ]
    if call.body is not None and call.example is not None:
        lines.append(f'-H "Content-Type: {call.body_type}"')
        lines.append(f"-d {_quoted(call.example)}")
    elif call.body_type != JSON:
        lines.append('-d "MessageStatus=delivered"')
    return " \\\n  ".join(lines)


def _example(shape: dict[str, Any], name: str) -> str:
    return quote(str(shape["enum"][0])) if "enum" in shape else f"${name}"


def _quoted(example: object) -> str:
    told = json.dumps(example, ensure_ascii=False, indent=2)
    return "'" + told.replace("'", "'\\''") + "'"
