"""Values as JSON without loss: what JSON lacks, or blurs, is an object with a single key.

{"bytes": "00ff"}, {"float": "3ff0000000000000"} (the eight bytes of the number, so that NaN, -0.0
and 1.0 stay what they are) and {"map": [[key, value], ...]} in the map's order. None, booleans,
integers, strings and lists are themselves.
"""

import struct


def written(value):
    if isinstance(value, float):
        return {"float": struct.pack(">d", value).hex()}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, (list, tuple)):
        return [written(item) for item in value]
    if isinstance(value, dict):
        return {"map": [[written(key), written(item)] for key, item in value.items()]}
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return {type(value).__name__: repr(value)}


def read(value):
    if isinstance(value, list):
        return [read(item) for item in value]
    if not isinstance(value, dict):
        return value
    [(kind, content)] = value.items()
    if kind == "float":
        return struct.unpack(">d", bytes.fromhex(content))[0]
    if kind == "bytes":
        return bytes.fromhex(content)
    if kind == "map":
        return {read(key): read(item) for key, item in content}
    raise ValueError(f"no such kind of value: {kind}")
