"""100,000 calls, failed, timed out, repeated and cancelled at random: `python bench/runtime/conservation.py`.

Run it on every interpreter; it needs nothing but the runtime and anyio. The storm is the one of the tests.
"""

from __future__ import annotations

import collections
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from safecall_lint.runtime.testing import run
from tests.runtime.storm import CALLS, Storm, everything_is_back

RUNS = 20
CALLS_OF_A_RUN = 5000


async def missing_after(storm: Storm) -> str | None:
    await storm.run()
    if storm.slots_given != storm.slots_given_back:
        return f"{storm.slots_given} slots given, {storm.slots_given_back} given back"
    if len(storm.spent) != storm.retries_sent:
        return f"{len(storm.spent)} retries spent, {storm.retries_sent} sent"
    return await everything_is_back(storm.policy)


def main() -> None:
    outcomes: collections.Counter[str] = collections.Counter()
    start, broken = time.process_time(), 0
    sent = refused = unsent = 0
    for seed in range(RUNS):
        storm = Storm(seed, CALLS_OF_A_RUN)
        missing = run(missing_after(storm))
        windows = collections.Counter(time // CALLS.per for time, _ in storm.sent)
        if missing is not None or max(windows.values()) > CALLS.limit or storm.over_budget:
            broken += 1
            print(f"run {seed}: missing: {missing}")
        outcomes.update(storm.outcomes)
        sent += storm.retries_sent
        unsent += storm.retries - storm.retries_sent
        refused += storm.retries_over_budget
    ended = ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())
    retries = f"{sent:,} sent, {unsent:,} given back, {refused:,} over budget"
    print(f"| {sys.version.split()[0]} | {ended} | {retries} | {broken} of {RUNS} |")
    print(f"{time.process_time() - start:.0f} s of CPU", file=sys.stderr)
    sys.exit(broken > 0)


if __name__ == "__main__":
    main()
