"""The SQL of claiming and recording, and of the end of a bulk.

Why raw SQL: a chunk is claimed with SKIP LOCKED, a window is written by COPY in the
transaction that moves the cursor and the counters (docs/decisions/0004-ledger.md).
"""

from campaigns.ledger.claiming import (
    ClaimedChunk,
    claim_abandoned,
    claim_chunk,
    claim_window,
    extend_leases,
    postpone,
    release,
)
from campaigns.ledger.finishing import cancel_chunks, finish, finishable, resume_overdue
from campaigns.ledger.recording import (
    LeaseLostError,
    Retry,
    Row,
    WindowResult,
    record,
    record_late,
)

__all__ = [
    "ClaimedChunk",
    "LeaseLostError",
    "Retry",
    "Row",
    "WindowResult",
    "cancel_chunks",
    "claim_abandoned",
    "claim_chunk",
    "claim_window",
    "extend_leases",
    "finish",
    "finishable",
    "postpone",
    "record",
    "record_late",
    "release",
    "resume_overdue",
]
