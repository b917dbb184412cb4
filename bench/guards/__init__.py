"""The guards: places without which a piece of an answer could be lost, doubled or shown to the wrong person, each with
how it is taken out and the tests that must notice. `./run.py bench guards` takes them out one after the other.
"""

from bench.guards.answers import FOLLOWING, RUNNING, STORING
from bench.guards.guard import Guard
from bench.guards.people import DOORWAYS, SCOPES
from bench.guards.prompts import PROMPTS
from bench.guards.upstreams import UPSTREAMS

__all__ = ["GUARDS", "Guard"]

GUARDS = [*FOLLOWING, *STORING, *RUNNING, *PROMPTS, *SCOPES, *DOORWAYS, *UPSTREAMS]
