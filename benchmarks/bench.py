"""All benchmarks: ratios, each measured side by side in one run, with the bar it must meet.

Run by `make bench`, one of them by `make bench ARGS="--only training"`. Uses real radiographs if
BONEAGE_REAL_DATA names a folder of them, else drawn ones. Adds what it measured to benchmarks/history.csv,
draws that, and says what became worse by more than a tenth since the last run on a like machine. Exits with 1
if a bar is missed.
"""

import argparse
import os
import sys
from pathlib import Path

import bench_augment
import bench_estimate
import bench_input
import bench_preprocess
import bench_training
import history

# Measurement, name of the ratio, its lower or upper bound.
BARS = (
    (bench_preprocess, "preprocess_speed_ratio", "at least", bench_preprocess.LEAST_SPEED_RATIO),
    (bench_preprocess, "preprocess_memory_ratio", "at most", bench_preprocess.MOST_MEMORY_RATIO),
    (bench_augment, "augment_speed_ratio", "at least", bench_augment.LEAST_SPEED_RATIO),
    (bench_augment, "augment_memory_ratio", "at most", bench_augment.MOST_MEMORY_RATIO),
    (bench_input, "training_input_ratio", "at least", bench_input.LEAST_RATIO),
    (bench_estimate, "estimate_speed_ratio", "at least", bench_estimate.LEAST_SPEED_RATIO),
    (bench_estimate, "estimate_with_pages_ratio", "at most", bench_estimate.MOST_OF_PAGES),
    (bench_estimate, "estimate_seconds_for_one", "at most", bench_estimate.MOST_SECONDS_FOR_ONE),
    (bench_estimate, "estimate_load_times_import", "at most", bench_estimate.MOST_OF_IMPORT),
    *(
        (
            bench_training,
            f"{network}_{bench_training.STEP_SIZE}_share_of_bare_step",
            "at least",
            bench_training.LEAST_OF_BARE_STEP,
        )
        for network in bench_training.STEP_IMAGES
    ),
)
BENCHMARKS = {bar[0].__name__.removeprefix("bench_"): bar[0] for bar in BARS}


def main() -> int:
    """Runs benchmarks, prints what they measured, and reports missed bars."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS, help="these alone")
    only = parser.parse_args().only
    chosen = [bar for bar in BARS if bar[0] in [BENCHMARKS[name] for name in only]]
    named = os.environ.get("BONEAGE_REAL_DATA", "")
    data = Path(named) if named else None
    of_run = history.facts("real" if data else "drawn")
    print(f"images: {'real, from BONEAGE_REAL_DATA' if data else 'drawn'}")
    measured: dict[str, float] = {}
    for benchmark in dict.fromkeys(bar[0] for bar in chosen):
        new = benchmark.run(data)
        measured |= new
        # Kept at once: those that follow take long.
        known = history.add(new, of_run)
    for name, value in measured.items():
        print(f"{name:40} {value:10.2f}")
    missed, bars = 0, [history.Bar(*bar[1:]) for bar in chosen]
    for bar in bars:
        value, is_met = measured[bar.name], bar.is_met(measured[bar.name])
        missed += not is_met
        print(
            f"{'reached' if is_met else 'MISSED':8} {bar.name}: {value:.2f}, must be {bar.side} {bar.bound:g}"
        )
    for worse in history.regressions(known, bars):
        print(f"WORSE    {worse}")
    print(f"wrote {history.HISTORY} and {history.draw(known, [history.Bar(*bar[1:]) for bar in BARS])}")
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
