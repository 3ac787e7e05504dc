"""What the other server has, for lambda_elsewhere.py."""

from lambda_kit import *

create("team-there", "def handler(e, c):\n    print('there sees', e)\n    if e == 'fail': raise ValueError\n    return ['there', e]")
create("team-own", "def handler(e, c): return ['there as well', e]")
print("done")
