"""What somebody says of an uploaded file: what each of its columns becomes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms

from devices.csv_rows import ATTRIBUTE, DEVICES, SKIP, FileFault, Sheet, header


@dataclass(frozen=True, slots=True)
class MappedColumn:
    """A column of the file, some of what stands in it, and what it becomes."""

    heading: str
    samples: list[str]
    field: forms.BoundField


class MappingForm(forms.Form):
    """One choice for each column."""

    def __init__(
        self,
        *args: Any,
        beginning: Sequence[list[str]],
        mapping: Sequence[str] = (),
        sheet: Sheet = DEVICES,
        **kwargs: Any,
    ) -> None:
        """`beginning` has the header and some rows; `mapping` what was chosen before."""
        super().__init__(*args, **kwargs)
        self.headings = [each.strip() for each in beginning[0]] if beginning else []
        self._rows = beginning[1:]
        self._sheet = sheet
        choices = [
            (ATTRIBUTE, "Custom attribute"),
            (SKIP, "Leave out"),
            *((name, name.replace("_", " ")) for name in sheet.aliases),
        ]
        for number, heading in enumerate(self.headings):
            before = (
                mapping[number] if len(mapping) == len(self.headings) else sheet.suggested(heading)
            )
            self.fields[f"column_{number}"] = forms.ChoiceField(
                choices=choices, initial=before, label=f"“{heading or number + 1}” becomes"
            )

    def columns(self) -> Iterator[MappedColumn]:
        for number, heading in enumerate(self.headings):
            samples = [row[number] for row in self._rows if len(row) > number and row[number]]
            yield MappedColumn(heading, samples, self[f"column_{number}"])

    def mapping(self) -> list[str]:
        return [self.cleaned_data[f"column_{number}"] for number in range(len(self.headings))]

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        if not self.errors:
            try:
                header(self.headings, self.mapping(), self._sheet)
            except FileFault as fault:
                raise forms.ValidationError(str(fault)) from None
        return typed
