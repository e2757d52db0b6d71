"""Join a device to a person, or part them (contract/people.md 5).

Everybody who changes people comes through here: the people API, the mobile API and the pages.
An identity belongs to one person and a person has one primary device per application because
constraints say so; a call that loses a race looks again and sees the winner.

Rows are locked in one order: people by key, then the device's address and registration, then
other registrations, then identities are inserted in the order of their kind and value.
"""

from devices.personalizing.attaching import Choice, depersonalize, personalize
from devices.personalizing.locking import hold_owners_of_events
from devices.personalizing.people import (
    change,
    change_owner,
    create,
    delete_device,
    erase,
    merged_into,
    replace,
)
from devices.personalizing.portrait import MOST_CONTACTS, Described, Identities
from devices.personalizing.previewing import Preview, preview
from devices.personalizing.reverting import (
    OF_DEVICE,
    OF_PERSON,
    can_revert,
    revert_device,
    revert_person,
    state_of_device,
    state_of_person,
)
from devices.personalizing.undoing import MOVES, can_undo, undo

UNDOABLE = (*MOVES, *OF_DEVICE, *OF_PERSON)  # actions of the audit trail

__all__ = [
    "MOST_CONTACTS",
    "MOVES",
    "UNDOABLE",
    "Choice",
    "Described",
    "Identities",
    "Preview",
    "can_revert",
    "can_undo",
    "change",
    "change_owner",
    "create",
    "delete_device",
    "depersonalize",
    "erase",
    "hold_owners_of_events",
    "merged_into",
    "personalize",
    "preview",
    "replace",
    "revert_device",
    "revert_person",
    "state_of_device",
    "state_of_person",
    "undo",
]
