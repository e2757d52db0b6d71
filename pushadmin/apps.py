from django import forms
from django.apps import AppConfig
from django.core import validators


class PushadminConfig(AppConfig):
    """Wiring; owns no table."""

    name = "pushadmin"

    def ready(self) -> None:
        """Tasks queued by web processes and commands go through our Celery application."""
        from pushadmin import celery  # noqa: F401, PLC0415

        say_what_to_type()


def say_what_to_type() -> None:
    """Let what is wrong with a field say what to do, where the form itself says nothing."""
    forms.Field.default_error_messages["required"] = "Fill in this field."
    forms.IntegerField.default_error_messages["invalid"] = "Type a whole number."
    forms.URLField.default_error_messages["invalid"] = (
        "Type a whole address, such as https://shop.example/sale."
    )
    validators.MinValueValidator.message = "Type %(limit_value)s or more."
    validators.MaxValueValidator.message = "Type %(limit_value)s or less."
