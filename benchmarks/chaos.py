"""The fault tests at full size: `python3 manage.py chaos [--devices N] [--kills N] [--rounds N]`.

Runs tests/flows/test_faults.py with a larger campaign and more kills: lost and doubled must be
zero, unknown within the bound of docs/decisions/0004-ledger.md.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=200_000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3, help="each with a seed of its own")
    parser.add_argument("--seed", type=int, default=1, help="of the first round")
    options = parser.parse_args()
    environment = {
        **os.environ,
        "CHAOS_DEVICES": str(options.devices),
        "CHAOS_KILLS": str(options.kills),
    }
    for name in ("DATABASE_URL", "BROKER_URL", "STORE_URL"):
        environment.pop(name, None)  # the tests bring servers of their own
    tests = ["-n", "0", "-q", "-s", "--timeout", "3600", "tests/flows/test_faults.py"]
    command = [sys.executable, "-m", "pytest", *tests, "-k", "killed"]
    root = Path(__file__).resolve().parent.parent
    codes = [
        subprocess.run(
            command, env={**environment, "CHAOS_SEED": str(seed)}, cwd=root, check=False
        ).returncode
        for seed in range(options.seed, options.seed + options.rounds)
    ]
    return 1 if any(codes) else 0


if __name__ == "__main__":
    sys.exit(main())
