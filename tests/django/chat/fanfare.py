"""Fanfare's side of the project: what it asks, whose session a channel is, and publishing."""

import json
import re
from urllib.error import HTTPError
from urllib.parse import parse_qsl, quote, unquote
from urllib.request import Request, urlopen

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.conf import settings
from django.core.exceptions import PermissionDenied

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


def asked_groups(request):
    """The groups that the session would join by its path. The view at `auth.url` authorises these."""
    return [unquote(name) for name in request.headers["X-Fanfare-Groups"].split(",") if name]


def asked_params(request):
    """The parameters of the path, as the route of fanfare.toml names them."""
    return dict(parse_qsl(request.headers["X-Fanfare-Params"], keep_blank_values=True))


def session_channel(user, channel):
    """The channel, if a session of this user has it; otherwise `PermissionDenied`.

    A page names the channel, and a page can name anything: a group of the layer, a worker, somebody
    else's session. So Fanfare is asked whose it is. An `OSError` means that it did not answer.
    """
    url = f"{settings.FANFARE_API}/channels/{quote(channel, safe='')}"
    key = {"Authorization": f"Bearer {settings.FANFARE_API_KEY}"}
    try:
        with urlopen(Request(url, headers=key), timeout=3) as answer:
            session = json.load(answer)
    except HTTPError as error:
        if error.code in (400, 404):
            raise PermissionDenied("no session has this channel") from error
        raise
    if session["user"] != str(user.pk):
        raise PermissionDenied("the session of this channel is somebody else's")
    return session["channel"]


def frame(**fields):
    """An event that arrives in the browser as this JSON (see `deliver` in fanfare.toml)."""
    return {"type": "client.frame", "frame": fields}


def publish(group, event):
    async_to_sync(get_channel_layer().group_send)(group, event)


def send(channel, event):
    async_to_sync(get_channel_layer().send)(channel, event)
