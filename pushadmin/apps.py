from django.apps import AppConfig


class PushadminConfig(AppConfig):
    """Wiring; owns no table."""

    name = "pushadmin"

    def ready(self) -> None:
        """Tasks queued by web processes and commands go through our Celery application."""
        from pushadmin import celery  # noqa: F401, PLC0415
