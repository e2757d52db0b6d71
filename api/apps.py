from django.apps import AppConfig


class ApiConfig(AppConfig):
    """Other systems' words; owns no table."""

    name = "api"
    default_auto_field = "django.db.models.BigAutoField"
