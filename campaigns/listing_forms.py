"""What people type about a list."""

from typing import Any

from django import forms

from campaigns.membership import KEYS
from devices.forms import FileForm


class ListForm(forms.Form):
    """Its name, which the team sees alone."""

    name = forms.CharField(
        label="Name",
        max_length=100,
        error_messages={"required": "Give the list a name."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "Beta testers"}),
    )


class ListFileForm(FileForm):
    """A file of members."""

    ELSE = " and add its parts one after the other"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        file = self.fields["file"]
        file.widget.attrs["accept"] = ".csv,.txt,text/csv,text/plain"
        file.help_text = (
            "UTF-8, one member a line. Nobody is added before you have seen what it would do."
        )
        file.error_messages["empty"] = "The file is empty. It needs a line for each member."


class NewListForm(ListFileForm, ListForm):
    """A list, with a file of its first members if there is one."""

    field_order = ("name", "file")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["file"].required = False


class MemberForm(forms.Form):
    """Somebody to put on a list."""

    key = forms.ChoiceField(label="Known by", choices=list(KEYS.items()))
    text = forms.CharField(
        label="Value",
        max_length=256,
        error_messages={"required": "Type what names the member."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
