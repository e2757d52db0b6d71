"""devices.audit: what the trail says."""

import pytest

from devices.models import AuditEntry


@pytest.mark.parametrize(
    ("action", "done"),
    [
        ("launch campaign", "launched campaign"),
        ("change device", "changed device"),
        ("undo launch", "undid launch"),
        ("keep dead addresses", "kept dead addresses"),
        ("personalize", "personalized"),
    ],
)
def test_the_trail_speaks_of_what_has_happened(action: str, done: str) -> None:
    assert AuditEntry(action=action).done == done
