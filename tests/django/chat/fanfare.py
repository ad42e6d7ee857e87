"""Publishing: the names of groups, and the events that reach the pages."""

import re

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

EVERYONE = "fanfare.all"
LEGAL = re.compile(rb"[A-Za-z0-9_-]")


def user_group(user_id):
    """The group of all sessions of a user. Characters that a group name cannot have are escaped."""
    parts = (bytes([byte]) for byte in str(user_id).encode())
    return "fanfare.user." + "".join(
        part.decode() if LEGAL.match(part) else f".{part[0]:02x}" for part in parts
    )


def excluding(event, channels):
    """The same event, which the Fanfare sessions with these channels do not get. The key is of type
    bytes, so that no JSON from a browser can contain it."""
    return {**event, b"__fanfare__": {"exclude": list(channels)}}


def frame(**fields):
    """An event that arrives in the browser as this JSON (see `deliver` in fanfare.toml)."""
    return {"type": "client.frame", "frame": fields}


def publish(group, event):
    async_to_sync(get_channel_layer().group_send)(group, event)


def send(channel, event):
    async_to_sync(get_channel_layer().send)(channel, event)
