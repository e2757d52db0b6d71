"""Who can be reached."""

from devices.models.access import ApiKey, ApiUser, Invitation, Membership, Role
from devices.models.applications import (
    Application,
    ApplicationQuerySet,
    Environment,
    Provider,
    ProviderCredential,
)
from devices.models.audit import AuditEntry
from devices.models.base_days import BaseDay
from devices.models.breakers import Breaker, SuspectAddress
from devices.models.events import Event
from devices.models.imports import ImportPiece, ImportRefusal, ImportRun
from devices.models.people import AttributeDefinition, ClosedNumber, Identity, Person
from devices.models.registrations import Address, Platform, Registration, RegistrationQuerySet
from devices.models.tokens import UserTokenKey

__all__ = [
    "Address",
    "ApiKey",
    "ApiUser",
    "Application",
    "ApplicationQuerySet",
    "AttributeDefinition",
    "AuditEntry",
    "BaseDay",
    "Breaker",
    "ClosedNumber",
    "Environment",
    "Event",
    "Identity",
    "ImportPiece",
    "ImportRefusal",
    "ImportRun",
    "Invitation",
    "Membership",
    "Person",
    "Platform",
    "Provider",
    "ProviderCredential",
    "Registration",
    "RegistrationQuerySet",
    "Role",
    "SuspectAddress",
    "UserTokenKey",
]
