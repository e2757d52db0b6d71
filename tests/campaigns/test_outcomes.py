"""campaigns.outcomes: what providers answer has a reason of ours."""

from campaigns.models import REASONS, Reason
from campaigns.outcomes import REASON_OF_CAUSE
from providers.base import Cause


def test_every_cause_has_a_reason_and_every_reason_a_sentence() -> None:
    assert set(REASON_OF_CAUSE) == set(Cause)
    assert set(REASONS) == set(Reason)
