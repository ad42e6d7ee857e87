from channels.consumer import AsyncConsumer

from . import fanfare


class Work(AsyncConsumer):
    """The worker of the channel "work": `manage.py runworker work`."""

    async def text_reverse(self, event):
        text = event["text"][::-1]
        await self.channel_layer.send(event["reply_to"], fanfare.frame(type="done", text=text))
