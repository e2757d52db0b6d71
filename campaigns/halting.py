"""The wish that this worker ends, known to all its processes at once.

Celery tells the main process alone; its children would go on claiming windows until they are
killed with some on the wire (contract/providers.md Q-10).
"""

import mmap

# Shared with the processes that fork from this one.
_flag = mmap.mmap(-1, 1)


def ask() -> None:
    """Let every process of this worker claim nothing more, and finish what is on the wire."""
    _flag[0] = 1


def is_asked() -> bool:
    return _flag[0] == 1


def forget() -> None:
    _flag[0] = 0
