"""What redis-py makes of URLs, as channels_redis gives them to it.

The argument is a list of URLs. The answer is one line, {"ok": list of answers}, with an answer for
each: {"ok": {"host", "port", "path", "ssl", "db", "username", "password"}} of the connection, or
{"error": {"type": name of the exception, "text": its text}} when none can be made.
"""

import asyncio
import json
import sys

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import SSLConnection, UnixDomainSocketConnection


async def read(url):
    connection = ConnectionPool.from_url(url).make_connection()
    if isinstance(connection, UnixDomainSocketConnection):
        if not connection.path:
            await connection.connect()  # There is no socket without a path: this raises.
        place = (None, None, connection.path)
    else:
        place = (connection.host, connection.port, None)
    return dict(zip(("host", "port", "path"), place)) | {
        "ssl": isinstance(connection, SSLConnection),
        "db": int(connection.db),
        "username": connection.username or "",
        "password": connection.password or "",
    }


async def main(urls):
    answers = []
    for url in urls:
        try:
            answers.append({"ok": await read(url)})
        except Exception as error:  # Whatever redis-py refuses a URL with.
            refusal = {"type": type(error).__name__, "text": str(error)}
            answers.append({"error": refusal})
    return answers


if __name__ == "__main__":
    print(json.dumps({"ok": asyncio.run(main(json.loads(sys.argv[1])))}), flush=True)
