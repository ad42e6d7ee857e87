"""What `manage.py runworker` runs. No WebSocket is routed here: Fanfare holds them."""

import os

from channels.routing import ChannelNameRouter, ProtocolTypeRouter
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sample.settings")
http = get_asgi_application()

from chat.workers import Work  # noqa: E402 (needs the settings)

application = ProtocolTypeRouter(
    {"http": http, "channel": ChannelNameRouter({"work": Work.as_asgi()})}
)
