"""Fields for what clouds give out: ids that are shown again, secrets that are not."""

from django import forms

LARGEST_KEY_FILE = 20_000  # bytes; Google's are 2.4 KB, Apple's 257 bytes


def code_field(
    label: str, help_text: str, *, most: int, placeholder: str = "", required: bool = False
) -> forms.CharField:
    """An id or a name as a console shows it; `most` characters."""
    attributes = {"class": "is-code"} | ({"placeholder": placeholder} if placeholder else {})
    return forms.CharField(
        label=label,
        required=required,
        max_length=most,
        widget=forms.TextInput(attrs=attributes),
        help_text=help_text,
    )


def secret_field(label: str, help_text: str, *, most: int) -> forms.CharField:
    return forms.CharField(
        label=label,
        required=False,
        max_length=most,
        widget=forms.PasswordInput(attrs={"class": "is-code"}),
        help_text=help_text,
    )


def file_field(label: str, help_text: str, *, accept: str) -> forms.FileField:
    return forms.FileField(
        label=label,
        required=False,
        widget=forms.FileInput(attrs={"accept": accept}),
        help_text=help_text,
    )


def pasted_field(placeholder: str = "", *, rows: int) -> forms.CharField:
    """Beside the field of a file: what the file holds."""
    return forms.CharField(
        label="Or paste what it holds",
        required=False,
        max_length=LARGEST_KEY_FILE,
        widget=forms.Textarea(attrs={"class": "is-code", "rows": rows, "placeholder": placeholder}),
    )
