"""100,000 calls, failed, timed out and cancelled at random: `python bench/runtime/conservation.py`.

Run it on every interpreter; it needs nothing but the runtime and anyio. The storm is the one of the tests.
"""

from __future__ import annotations

import asyncio
import collections
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from safecall_lint.runtime._events import CallEnded
from safecall_lint.runtime.testing import run
from tests.runtime.storm import CALLS, TOKENS, Storm


async def leaves_nothing(storm: Storm) -> bool:
    await storm.run()
    state = storm.policy.state()
    whole = (state.in_use, state.queued) == (0, 0) and storm.slots_given == storm.slots_given_back
    for _ in range(2):
        await asyncio.sleep(30)
        with storm.policy.options(weight=8, tokens=TOKENS.limit):
            await storm.policy.call(asyncio.sleep, 0)
    circuit = storm.policy._layers.circuit
    return whole and circuit is not None and circuit.probing == 0 and circuit.state == "closed"


def main() -> None:
    outcomes: collections.Counter[str] = collections.Counter()
    start, broken = time.process_time(), 0
    for seed in range(20):
        storm = Storm(seed, calls=5000)
        broken += not run(leaves_nothing(storm))
        windows = [time // CALLS.per for time, _ in storm.sent]
        broken += max(collections.Counter(windows).values()) > CALLS.limit
        outcomes.update(event.outcome for event in storm.events if isinstance(event, CallEnded))
    ended = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    print(f"Python {sys.version.split()[0]}: 100,000 calls ({ended}), {time.process_time() - start:.0f} s of CPU")
    print(f"runs in which a slot, a token or a probe was missing: {broken} of 20")
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
