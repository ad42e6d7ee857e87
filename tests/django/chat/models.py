from django.conf import settings
from django.db import models


class Connection(models.Model):
    """The latest connection of a user: where a direct message goes."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    channel = models.CharField(max_length=200)
