"""An unmodified `manage.py runworker`, whose consumers say on stdout what they got.

The argument is {"backend": dotted path, "options": keyword arguments, "channels": [names]}.
"""

import json
import sys

import django
from channels.consumer import AsyncConsumer
from channels.routing import ChannelNameRouter, ProtocolTypeRouter
from django.conf import settings
from django.core.management import call_command

START = json.loads(sys.argv[1])


class Clerk(AsyncConsumer):
    async def job_note(self, event):
        print(json.dumps({"channel": self.scope["channel"], "event": event}), flush=True)

    async def job_answer(self, event):
        await self.channel_layer.send(event["reply_to"], {**event, "type": "job.done"})

    async def job_announce(self, event):
        await self.channel_layer.group_send(event["group"], {**event, "type": "job.done"})


clerks = {channel: Clerk.as_asgi() for channel in START["channels"]}
application = ProtocolTypeRouter({"channel": ChannelNameRouter(clerks)})


def main():
    layer = {"BACKEND": START["backend"], "CONFIG": START["options"]}
    settings.configure(
        ASGI_APPLICATION="worker.application",
        CHANNEL_LAYERS={"default": layer},
        INSTALLED_APPS=["channels"],
    )
    django.setup()
    call_command("runworker", *START["channels"])


if __name__ == "__main__":
    main()
