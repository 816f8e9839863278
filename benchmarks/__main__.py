"""Training steps of symdgm, of hand-written PyTorch and of peers, measured side by side."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks import agreement, machine, regression
from benchmarks.measuring import CLOCKS, Outcome, alternate, build, counts_of, summarise
from benchmarks.plots import draw
from benchmarks.results import Results, read, write
from benchmarks.tables import document, insert
from benchmarks.variants import Variant, Workload
from benchmarks.workloads import WORKLOADS, chosen

RECORDED = Path(__file__).parent / "results" / "xeon-2-cores.json"
DRAWS, TINY_DRAWS = 6, 100
"""Evaluations by which agreement in expectation is checked, at the measured size and at a tiny one."""


def measure(workload: Workload, options: argparse.Namespace) -> Outcome:
    """Checks that the variants agree, then times them."""
    # The compiler counts the forms of a function over the whole process, and gives up after eight.
    torch.compiler.reset()
    # Only while building: within a step, a default device would cost time at every call.
    with torch.device(options.device):
        small = [] if options.tiny else build(_wanted(workload.tiny(), options, compiles=False))[0]
        variants = workload.tiny() if options.tiny else workload.variants()
        built, skipped = build(_wanted(variants, options, compiles=not options.no_compile))
    if small:
        agreement.check(small, TINY_DRAWS)
    agreement.check(built, TINY_DRAWS if options.tiny else DRAWS)
    rounds = options.steps or workload.rounds
    before = machine.load()
    with torch.set_grad_enabled(not options.forward):
        calls = [one.run.loss if options.forward else one.run.step for one in built]
        times = alternate(calls, rounds, options.seconds, options.clock)
        load = (before + machine.load()) / 2
        # Last: a traced step of a peer cannot be counted while it is traced.
        counts = counts_of(built, forward=options.forward)
    words = f"at a tiny size: {workload.words}" if options.tiny else workload.words
    words = f"the objective alone, without gradients: {words}" if options.forward else words
    return Outcome(words, len(times), load, summarise(times, built, counts), skipped)


def _wanted(variants: Sequence[Variant], options: argparse.Namespace, *, compiles: bool) -> list[Variant]:
    """The reference, and what is asked for."""
    return [
        v
        for i, v in enumerate(variants)
        if i == 0 or (options.only in v.name and (compiles or not v.compiles))
    ]


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"families or workloads: {', '.join(WORKLOADS)}")
    add("--all", action="store_true", help="also the workloads that take long")
    add("--only", default="", metavar="TEXT", help="variants with TEXT in their name, beside the reference")
    add("--steps", type=int, help="steps of each variant; each workload has its own default")
    add("--seconds", type=float, default=20.0, help="ends a workload's measurement (default 20)")
    add("--threads", type=int, default=2, help="threads of torch (default 2)")
    add("--device", default="cpu", help="where networks and data are (default cpu)")
    add("--clock", choices=CLOCKS, default="wall", help="cpu, with one thread, where others use the machine")
    add("--forward", action="store_true", help="evaluations without gradients instead of training steps")
    add("--tiny", action="store_true", help="sizes that only show that everything runs")
    add("--no-compile", action="store_true", help="without the variants that run a compiler")
    add("--json", type=Path, metavar="FILE", help="writes the results")
    add("--table", type=Path, metavar="FILE", help="writes Markdown, in a file that has the marker behind it")
    add("--plot", type=Path, metavar="FILE", help="writes a picture")
    add("--from", dest="source", type=Path, metavar="FILE", help="takes results of before; measures nothing")
    add("--check", type=Path, nargs="?", const=RECORDED, metavar="FILE", help="fails if symdgm became slower")
    add("--tolerance", type=float, default=regression.TOLERANCE, help="of --check (default %(default)s)")
    return parser.parse_args(arguments)


def run(workloads: Sequence[Workload], options: argparse.Namespace) -> Results:
    """Measures what is asked for; prints and writes what came out of each workload as soon as it is there."""
    torch.set_num_threads(options.threads)
    results = Results(machine.describe(), options.clock, {})
    for workload in workloads:
        outcome = {f"{workload.name}{' forward' * options.forward}": measure(workload, options)}
        print(document({}, outcome, options.clock), flush=True)
        results = replace(results, outcomes={**results.outcomes, **outcome})
        if options.json:
            write(results, options.json)
    return results


def main(arguments: Sequence[str] | None = None) -> int:
    options = read_options(arguments)
    try:
        workloads = chosen(options.names, extra=options.all)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    results = read(options.source) if options.source else run(workloads, options)
    if options.table:
        insert(document(results.machine, results.outcomes, results.clock), options.table)
    if options.plot:
        draw(results, options.plot)
    return _check(results, options) if options.check else 0


def _check(results: Results, options: argparse.Namespace) -> int:
    found = regression.regressions(results, read(options.check), options.tolerance)
    print("\n".join(found) or "nothing became slower than recorded")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
