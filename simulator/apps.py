from django.apps import AppConfig


class SimulatorConfig(AppConfig):
    """Pretending to be the clouds; owns no table."""

    name = "simulator"
    default_auto_field = "django.db.models.BigAutoField"
