from django.apps import AppConfig


class PushadminConfig(AppConfig):
    """Wiring; owns no table."""

    name = "pushadmin"
