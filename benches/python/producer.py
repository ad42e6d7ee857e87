"""A process that publishes to groups, as a view or a Celery task does."""

import asyncio
import time

from layer import obey


def producer(layer):
    async def send(group, text):
        """Publishes one event; answers how long the call took, in seconds."""
        event = {"type": "chat.message", "message": text}
        start = time.perf_counter()
        await layer.group_send(group, event)
        return time.perf_counter() - start

    async def fill(group, first, count, width):
        """Publishes events whose text is their number, with zeros in front up to a width."""
        for number in range(first, first + count):
            await send(group, f"{number:0{width}}")
        return count

    return {"send": send, "fill": fill}


asyncio.run(obey(producer))
