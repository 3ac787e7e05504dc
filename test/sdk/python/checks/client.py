"""Clients and small readers that the checks share. The server comes from the environment."""

import base64
import contextlib
import io
import json
import os
import struct
import unittest
import urllib.request
import zlib

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

once = Config(retries={"total_max_attempts": 1}, read_timeout=60, connect_timeout=10)
runtime = boto3.client("bedrock-runtime", config=once)
control = boto3.client("bedrock", config=once)

MALFORMED = "Malformed input request"


def I(model, body, **kw):
    """InvokeModel: the native answer."""
    raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
    return json.loads(runtime.invoke_model(modelId=model, body=raw, **kw)["body"].read())


def S(model, body, **kw):
    """InvokeModelWithResponseStream: the list of decoded chunks."""
    raw = body if isinstance(body, (bytes, str)) else json.dumps(body)
    out = runtime.invoke_model_with_response_stream(modelId=model, body=raw, **kw)
    return [json.loads(e["chunk"]["bytes"]) for e in out["body"]]


METRICS = "amazon-bedrock-invocationMetrics"


class Case(unittest.TestCase):
    maxDiff = 4000

    @contextlib.contextmanager
    def refused(self, *parts, code="ValidationException", status=400):
        """The call inside must fail with this code, this status and these parts in its message."""
        with self.assertRaises(ClientError) as got:
            yield
        err = got.exception.response
        self.assertEqual(code, err["Error"]["Code"], err["Error"]["Message"])
        if status:
            self.assertEqual(status, err["ResponseMetadata"]["HTTPStatusCode"])
        for part in parts:
            self.assertIn(part, err["Error"]["Message"])
        self.assertTrue(err["ResponseMetadata"].get("RequestId"))

    def assertMetrics(self, chunk):
        m = chunk[METRICS]
        self.assertEqual({"inputTokenCount", "outputTokenCount", "invocationLatency", "firstByteLatency"}, set(m))
        for v in m.values():
            self.assertIs(int, type(v))
        self.assertGreater(m["inputTokenCount"], 0)
        return m


def metric(name, **labels):
    """The sum of the series of /metrics that carry the labels."""
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/metrics") as r:
        lines = r.read().decode().splitlines()
    want = [f'{k}="{v}"' for k, v in labels.items()]
    return sum(float(l.rsplit(" ", 1)[1]) for l in lines if l.startswith(name + "{") and all(w in l for w in want))


def png(width, height, pixel=lambda x, y: (200, 30, 60), alpha=False):
    """A PNG file with the colour of pixel(x, y); with alpha, pixel gives four numbers."""
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))

    def part(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 6 if alpha else 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", zlib.compress(rows, 1)) + part(b"IEND", b"")


def b64(data):
    return base64.b64encode(data).decode()


def pixels(data):
    """Width, height and the rows of (r, g, b) of a PNG file of 8 bits, RGB or RGBA, not interlaced."""
    f = io.BytesIO(data)
    if f.read(8) != b"\x89PNG\r\n\x1a\n":
        raise ValueError("no PNG signature")
    idat, head = b"", None
    while True:
        size, kind = struct.unpack(">I4s", f.read(8))
        body = f.read(size)
        if struct.unpack(">I", f.read(4))[0] != zlib.crc32(kind + body):
            raise ValueError("wrong CRC in the PNG")
        if kind == b"IHDR":
            head = struct.unpack(">IIBBBBB", body)
        elif kind == b"IDAT":
            idat += body
        elif kind == b"IEND":
            break
    width, height, depth, colour, _, _, lace = head
    if depth != 8 or colour not in (2, 6) or lace:
        raise ValueError(f"PNG of depth {depth}, colour type {colour}, interlace {lace}")
    n = 3 if colour == 2 else 4
    raw, prev, rows = zlib.decompress(idat), bytearray(width * n), []
    for y in range(height):
        line = raw[y * (width * n + 1) : (y + 1) * (width * n + 1)]
        kind, cur = line[0], bytearray(line[1:])
        if kind == 1:
            for i in range(n, len(cur)):
                cur[i] = (cur[i] + cur[i - n]) & 255
        elif kind == 2:
            cur = bytearray((a + b) & 255 for a, b in zip(cur, prev))
        elif kind == 3:
            for i in range(len(cur)):
                cur[i] = (cur[i] + ((cur[i - n] if i >= n else 0) + prev[i]) // 2) & 255
        elif kind == 4:
            for i in range(len(cur)):
                a, b, c = (cur[i - n] if i >= n else 0), prev[i], (prev[i - n] if i >= n else 0)
                p = a + b - c
                pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
                cur[i] = (cur[i] + (a if pa <= pb and pa <= pc else b if pb <= pc else c)) & 255
        rows.append([tuple(cur[i : i + 3]) for i in range(0, len(cur), n)])
        prev = cur
    return width, height, rows


def size(data):
    """Width and height of a PNG file."""
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("no PNG signature")
    return struct.unpack(">II", data[16:24])
