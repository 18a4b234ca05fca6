"""A seeded long run: python -m fuzz FIRST COUNT [LIMIT]. Broken promises and slow
fits with their cases, then counts."""

import sys
import time
from collections import Counter

from fuzz.cases import case
from fuzz.choices import Seeded
from fuzz.oracle import LIMIT, Broken, judge


def main(first: int, count: int, limit: float = LIMIT) -> int:
    verdicts: Counter[str] = Counter()
    slowest = (0.0, first)
    for seed in range(first, first + count):
        made, begun = case(Seeded(seed)), time.process_time()
        try:
            verdicts[judge(made, limit)] += 1
        except Broken as error:
            verdicts["BROKEN"] += 1
            print(f"seed {seed}: {error}\n    {made}", flush=True)
        taken = time.process_time() - begun
        if taken > limit / 2:
            print(f"seed {seed}: {taken:.1f} s\n    {made}", flush=True)
        slowest = max(slowest, (taken, seed))
    print(f"{count} cases from {first}:", ", ".join(f"{n} {v}" for v, n in verdicts.most_common()))
    print(f"slowest: seed {slowest[1]}, {slowest[0]:.1f} s")
    return min(verdicts["BROKEN"], 1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), *map(float, sys.argv[3:])))
