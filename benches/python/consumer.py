"""A process whose channels are members of a group, as one that serves consumers is.

Its first channel receives, as one consumer's task does. What the others are sent stays in the
layer's own queues, which are bounded: tasks for them would only cost this process more.
"""

import asyncio

from layer import obey, say

# Group additions under way at once: redis-py has at most 100 connections.
AT_ONCE = 50
# How long events may stay away, in seconds, before the rest counts as lost.
STALL = 5


def consumer(layer):
    channels = []

    async def join(group, members):
        """Puts new channels into a group; answers the name of the first."""
        while len(channels) < members:
            count = min(AT_ONCE, members - len(channels))
            added = [await layer.new_channel() for _ in range(count)]
            await asyncio.gather(*(layer.group_add(group, name) for name in added))
            channels.extend(added)
        return channels[0]

    async def receive(count):
        """Says "waiting", then receives so many events; answers how many came, and different ones."""
        say("waiting")
        seen = []
        task = asyncio.create_task(take(seen, count))
        while not task.done():
            before = len(seen)
            await asyncio.wait([task], timeout=STALL)
            if 0 < before == len(seen):
                task.cancel()
        if not task.cancelled():
            task.result()
        return {"received": len(seen), "different": len(set(seen))}

    async def take(seen, count):
        for _ in range(count):
            event = await layer.receive(channels[0])
            seen.append(event["message"])

    return {"join": join, "receive": receive}


asyncio.run(obey(consumer))
