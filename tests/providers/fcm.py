"""Errors as FCM words them."""

from __future__ import annotations

import json
from typing import Any

NOW = 1_760_000_000.0
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
QUOTA_FAILURE = "type.googleapis.com/google.rpc.QuotaFailure"


def error(status: str, code: str = "", message: str = "", **details: Any) -> bytes:
    listed: list[dict[str, Any]] = [{"@type": FCM_ERROR, "errorCode": code}] if code else []
    if "fields" in details:
        violations = [{"field": field, "description": "no"} for field in details["fields"]]
        listed.append({"@type": BAD_REQUEST, "fieldViolations": violations})
    if "subject" in details:
        listed.append({"@type": QUOTA_FAILURE, "violations": [{"subject": details["subject"]}]})
    body = {"error": {"code": 0, "message": message, "status": status, "details": listed}}
    return json.dumps(body).encode()
