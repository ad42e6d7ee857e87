"""The application of `manage.py runworker`. It has no WebSocket routes: Fanfare has them."""

import os

from channels.routing import ChannelNameRouter, ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sample.settings")
http = get_asgi_application()

from chat.workers import Work  # noqa: E402 (needs the settings)

application = ProtocolTypeRouter(
    {"http": http, "channel": ChannelNameRouter({"work": Work.as_asgi()})}
)
