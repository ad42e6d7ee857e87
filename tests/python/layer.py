"""One unmodified RedisPubSubChannelLayer, told what to do by lines of JSON on stdin.

The argument is {"hosts": [...], ...}: the layer's keyword arguments. Every command is answered by
one line: {"ok": result} or {"error": text}.
"""

import asyncio
import json
import sys

from channels_redis.pubsub import RedisPubSubChannelLayer

RECEIVE_SECONDS = 20


def printable(value):
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    raise TypeError(f"cannot print {type(value).__name__}")


def event_of(command):
    if "python" in command:
        names = {"nan": float("nan"), "inf": float("inf")}
        return eval(command["python"], {"__builtins__": {}}, names)
    return command["event"]


async def obey(layer, command):
    action = command["do"]
    if action == "group_send":
        return await layer.group_send(command["group"], event_of(command))
    if action == "send":
        return await layer.send(command["channel"], event_of(command))
    if action == "new_channel":
        return await layer.new_channel()
    if action == "group_add":
        return await layer.group_add(command["group"], command["channel"])
    if action == "receive":
        return await asyncio.wait_for(layer.receive(command["channel"]), RECEIVE_SECONDS)
    raise ValueError(f"no such command: {action}")


async def main():
    layer = RedisPubSubChannelLayer(**json.loads(sys.argv[1]))
    print(json.dumps({"ok": "ready"}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            answer = {"ok": await obey(layer, json.loads(line))}
        except Exception as error:
            answer = {"error": repr(error)}
        print(json.dumps(answer, default=printable), flush=True)


asyncio.run(main())
