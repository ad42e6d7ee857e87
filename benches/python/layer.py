"""What producer.py and consumer.py share: one unmodified layer, told what to do over a pipe.

The argument is {"backend": "core" or "pubsub", "options": the layer's keyword arguments}. Commands
are lines of JSON on stdin, {"do": name, ...}; answers are lines of JSON on stdout. An exception ends
the process, with its traceback on stderr.
"""

import asyncio
import json
import sys

from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

BACKENDS = {"core": RedisChannelLayer, "pubsub": RedisPubSubChannelLayer}


def say(answer):
    print(json.dumps(answer), flush=True)


async def obey(commands):
    """Does what stdin says until it ends. `commands`: from a layer to a function for each name."""
    start = json.loads(sys.argv[1])
    functions = commands(BACKENDS[start["backend"]](**start["options"]))
    say("ready")
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command = json.loads(line)
        say(await functions[command.pop("do")](**command))
