"""The event that was handed on arrived at the other server's own queue."""

from lambda_kit import *

until("the event", lambda: any(m == "there sees an event" for m in log("team-there")))
print("done")
