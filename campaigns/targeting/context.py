"""What a rule is compiled for."""

from dataclasses import dataclass
from datetime import datetime

from campaigns.targeting.fields import Field, Rule
from campaigns.targeting.values import join
from devices.models import Application


@dataclass(frozen=True, slots=True)
class Context:
    """Whose devices are asked, when, and in which table.

    The sample (campaigns/models/samples.py) has a person's columns in its own rows.
    """

    application: Application
    now: datetime  # UTC
    sample: bool

    def column(self, field: Field) -> str:
        if field.kind == "property":  # of an event, whose rows are asked
            return "properties"
        name = "attributes" if field.kind == "attribute" else field.column
        return self.person(name) if field.of_person else name

    def person(self, column: str) -> str:
        return f"person_{column}" if self.sample else f"person__{column}"


@dataclass(frozen=True, slots=True)
class Test:
    """A test whose field and operator fit each other; the operator is never a negative one."""

    field: Field
    op: str
    rule: Rule
    path: str

    @property
    def value(self) -> object:
        return self.rule.get("value")

    @property
    def place(self) -> str:
        """Where its value stands."""
        return join(self.path, "value")
