"""Sends events FROM to TO to the function marks and says which were accepted, until the server has gone."""

import sys
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError

from lambda_kit import *


def one(n):
    try:
        r, _ = invoke("marks", n, InvocationType="Event")
    except (BotoCoreError, ClientError):
        return
    assert r["StatusCode"] == 202, r
    sys.stdout.write(f"accepted {n} {r['ResponseMetadata']['RequestId']}\n")


with ThreadPoolExecutor(4) as pool:
    list(pool.map(one, range(int(sys.argv[1]), int(sys.argv[2]))))
print("done")
