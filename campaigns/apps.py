from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Forget people together with whoever keeps them. Models are there only now."""
        from campaigns import forgetting  # noqa: PLC0415
        from devices.personalizing.people import erased  # noqa: PLC0415

        erased.connect(forgetting.forget_texts, dispatch_uid="campaigns.forget_texts")
