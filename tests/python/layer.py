"""One unmodified layer of channels_redis, told what to do by lines of JSON on stdin.

The argument is {"backend": "pubsub" or "core", "options": the layer's keyword arguments}. Every
command, {"do": name of a function below, ...}, is answered by one line: {"ok": result} or
{"error": {"type": name of the exception, "text": its text}}.
"""

import asyncio
import collections
import json
import logging
import sys
import time

import msgpack
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer
from channels_redis.serializers import registry

import notation

BACKENDS = {"core": RedisChannelLayer, "pubsub": RedisPubSubChannelLayer}


def nested(depth):
    """Lists inside of each other, deeper than Python's parser allows in an expression."""
    return [nested(depth - 1)] if depth > 1 else []


# What an expression may name beside literals: values that JSON has no notation for.
NAMES = {
    "nan": float("nan"),
    "inf": float("inf"),
    "ext": msgpack.ExtType,
    "nested": nested,
    "timestamp": msgpack.Timestamp,
}


class Log(logging.Handler):
    """Keeps what channels_redis logs, such as channels over capacity."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.lines = []

    def emit(self, record):
        self.lines.append(f"{record.levelname} {record.getMessage()}")


class Series:
    """Numbered events, one after the other; each attempt has a number of its own."""

    def __init__(self, publish):
        self.publish = publish
        self.errors = collections.Counter()
        self.microseconds = []
        self.attempts = 0
        self.stopped = False

    async def run(self, event, count=None, pause=None):
        while not self.stopped and self.attempts != count:
            await self.attempt({**event, "number": self.attempts})
            if pause is not None:
                await asyncio.sleep(pause)

    async def attempt(self, event):
        self.attempts += 1
        start = time.perf_counter()
        try:
            await self.publish(event)
        except Exception as error:
            self.errors[type(error).__name__] += 1
        else:
            self.microseconds.append(round((time.perf_counter() - start) * 1e6))

    def report(self):
        return {
            "attempts": self.attempts,
            "sent": len(self.microseconds),
            "errors": self.errors,
            "microseconds": self.microseconds,
        }


class Commands:
    def __init__(self, layer, log):
        self.layer = layer
        self.log = log
        # One unfinished receive() for each channel: to cancel it loses messages on the core layer
        # and the subscription on the other.
        self.receiving = {}
        self.sender = None

    async def send(self, target, **event):
        await self.publisher(target)(event_of(event))

    async def new_channel(self):
        return await self.layer.new_channel()

    async def group_add(self, group, channel):
        await self.layer.group_add(group, channel)

    async def group_discard(self, group, channel):
        await self.layer.group_discard(group, channel)

    async def flush(self):
        await self.layer.flush()

    async def receive(self, channel, seconds):
        """A list with the next event, or an empty one when none comes in time."""
        if channel not in self.receiving:
            receive = self.layer.receive(channel)
            self.receiving[channel] = asyncio.create_task(receive)
        done, _ = await asyncio.wait([self.receiving[channel]], timeout=seconds)
        if not done:
            return []
        return [self.receiving.pop(channel).result()]

    async def burst(self, target, count, **event):
        series = Series(self.publisher(target))
        await series.run(event_of(event), count=count)
        return series.report()

    async def start_sender(self, target, pause, **event):
        series = Series(self.publisher(target))
        task = asyncio.create_task(series.run(event_of(event), pause=pause))
        self.sender = (series, task)

    async def sender_progress(self):
        series, _ = self.sender
        return {**series.report(), "microseconds": []}

    async def stop_sender(self):
        series, task = self.sender
        series.stopped = True
        await task
        self.sender = None
        return series.report()

    async def logged(self):
        lines, self.log.lines = self.log.lines, []
        return lines

    async def pack(self, serializer, values):
        """For each value the hexadecimal bytes, or why there are none."""
        serialize = serializer_of(serializer).serialize
        return [attempt(lambda: serialize(value_of(value)).hex()) for value in values]

    async def unpack(self, serializer, messages):
        """The reverse of pack."""
        deserialize = serializer_of(serializer).deserialize
        return [
            attempt(lambda: notation.written(deserialize(bytes.fromhex(message))))
            for message in messages
        ]

    def publisher(self, target):
        [(kind, name)] = target.items()
        if kind == "group":
            return lambda event: self.layer.group_send(name, event)
        return lambda event: self.layer.send(name, event)


def attempt(function):
    try:
        return {"ok": function()}
    except Exception as error:
        return failure(error)


def failure(error):
    return {"error": {"type": type(error).__name__, "text": str(error)}}


def serializer_of(options):
    return registry.get_serializer(options.pop("format"), **options)


def event_of(command):
    if "python" in command:
        return evaluated(command["python"])
    return command["event"]


def value_of(value):
    if isinstance(value, dict) and "python" in value:
        return evaluated(value["python"])
    return notation.read(value)


def evaluated(expression):
    return eval(expression, {"__builtins__": {}}, NAMES)


def printable(value):
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(f"cannot print {type(value).__name__}")


async def obey(commands, line):
    try:
        command = json.loads(line)
        answer = await getattr(commands, command.pop("do"))(**command)
        return json.dumps({"ok": answer}, default=printable)
    except Exception as error:
        return json.dumps(failure(error))


async def main():
    log = Log()
    logging.getLogger("channels_redis").addHandler(log)
    logging.getLogger("channels_redis").setLevel(logging.INFO)
    start = json.loads(sys.argv[1])
    commands = Commands(BACKENDS[start["backend"]](**start["options"]), log)
    print(json.dumps({"ok": "ready"}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(await obey(commands, line), flush=True)


asyncio.run(main())
