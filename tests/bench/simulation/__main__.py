"""`python -m tests.bench.simulation`: where ledger or storage saturate, and which settings move the wall."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from tests.bench.simulation.inputs import Inputs
from tests.bench.simulation.questions import TRIED, by_fleet, decoders, on_many, on_one
from tests.bench.simulation.table import decoder_table, fleet_table, setting_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write inputs and results there too")
    asked = parser.parse_args()
    fleets = by_fleet(Inputs())
    print(f"One job of 1,000,000,000 images:\n\n{fleet_table(fleets)}\n")
    one, many, rates = on_one(), on_many(), decoders()
    print(f"One worker, with a thing or two changed:\n\n{setting_table(one)}\n")
    print(f"{TRIED} workers, likewise:\n\n{setting_table(many)}\n")
    print(f"Other decoders, other GPUs:\n\n{decoder_table(rates)}")
    if asked.json:
        found = {
            "inputs": asdict(Inputs()),
            "fleets": [asdict(result) for result in fleets],
            "one worker": {name: asdict(result) for name, result in one.items()},
            f"{TRIED} workers": {name: asdict(result) for name, result in many.items()},
            "decoders": {rate: [asdict(each) for each in row] for rate, row in rates.items()},
        }
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
