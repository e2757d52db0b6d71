"""How a customer's own server says that somebody has signed in to the app."""

from django.db import models
from django.db.models import Q

from devices.fields import EncryptedJSONField
from devices.models.applications import Application


class UserTokenKey(models.Model):
    """A secret that a customer's server signs user tokens with, and the name it goes by."""

    application = models.ForeignKey(
        Application, on_delete=models.CASCADE, related_name="user_token_keys", db_index=False
    )
    kid = models.CharField(max_length=100)  # stands in every token
    data = EncryptedJSONField()  # {"secret": str}
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["application", "kid"], name="a_user_token_key_has_its_own_name"
            ),
            models.CheckConstraint(condition=~Q(kid=""), name="a_user_token_key_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.kid
