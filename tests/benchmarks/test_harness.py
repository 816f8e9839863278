"""The harness of the benchmark: what it measures, checks, writes and compares."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn

from benchmarks import __main__ as command
from benchmarks import agreement, measuring
from benchmarks.counting import count
from benchmarks.measuring import Outcome, Row, alternate, build, counts_of, summarise
from benchmarks.regression import regressions
from benchmarks.results import Results, read, write
from benchmarks.tables import MARKER, document, insert
from benchmarks.variants import Agreement, Run, Unavailable, Variant, peer, trained
from benchmarks.workloads import WORKLOADS, chosen

ROW = Row(2.0, 1.9, 2.2, 0.8, 0.78, 0.83, 0.1, 100, 0.4)
NAMES = ("expert", "symdgm", "Pyro")


FAMILIES = {name.split("/")[0]: name for name in WORKLOADS}
"""One workload of each family: at a tiny size those of one family are the same."""


def results(**changes):
    rows = {name: replace(ROW, **changes) if name == "symdgm" else ROW for name in NAMES}
    outcome = Outcome("words", 3, 0.5, rows, {"Pixyz": "not installed"})
    return Results({"processor": "one of these", "torch": "2.13"}, "wall", {"vae/1": outcome})


@pytest.fixture
def taking(monkeypatch):
    """Runs that take so many seconds of a clock that only they move."""
    now = [0.0]
    monkeypatch.setitem(measuring.CLOCKS, "wall", lambda: now[0])

    def run(seconds):
        return Run(lambda: now.append(now.pop() + seconds), lambda: torch.zeros(()))

    return run


def linear(shift=0.0, scale=1.0, noise=0.0, **options):
    """The loss of a linear map, or something near it."""
    torch.manual_seed(0)
    net, x = nn.Linear(3, 1), torch.ones(4, 3)

    def loss():
        return shift + scale * net(x).square().mean() + noise * torch.randn(())

    return trained(loss, list(net.parameters()), **options)


@pytest.mark.parametrize("name", FAMILIES.values())
def test_every_workload_runs_and_its_variants_agree(name):
    """At a tiny size, and with the peers that are installed; only the compilers are left out."""
    variants = [v for v in WORKLOADS[name].tiny() if not v.compiles]
    built, skipped = build(variants)
    agreement.check(built, draws=40)
    assert {b.variant.name for b in built} | set(skipped) == {v.name for v in variants}
    times = alternate([b.run.step for b in built], rounds=2, seconds=0.0)
    rows = summarise(times, built, counts_of(built))
    assert len(times) == 2
    assert all(row.ms > 0 and row.ratio > 0 for row in rows.values())
    assert all(row.operators > 10 for row in rows.values())
    assert "expert" in next(iter(rows))


def test_symdgm_runs_in_every_workload_of_this_version():
    runs = {name: build([w.tiny()[0], *_ours(w)])[0] for name, w in _families() if name != "dmm"}
    assert all("symdgm" in {b.variant.name for b in built} for built in runs.values())


def _families():
    return [(family, WORKLOADS[name]) for family, name in FAMILIES.items()]


def _ours(workload):
    return [v for v in workload.tiny() if v.name == "symdgm"]


def test_a_step_trains():
    for build_one in (w.tiny()[0].build for _, w in _families()):
        run = build_one()
        before = [p.detach().clone() for p in run.parameters]
        run.step()
        assert all(not torch.equal(a, b) for a, b in zip(before, run.parameters, strict=True))


def test_times_are_those_of_the_steps(taking):
    built, _ = build([Variant("slow", partial(taking, 4e-3)), Variant("fast", partial(taking, 1e-3))])
    times = alternate([one.run.step for one in built], rounds=15, seconds=5)
    rows = summarise(times, built, [count(one.run.step) for one in built])
    assert rows["slow"].ratio == 1
    assert rows["slow"].ms == pytest.approx(4) and rows["fast"].ms == pytest.approx(1)
    assert rows["fast"].ratio == rows["fast"].ratio_low == pytest.approx(0.25)


def test_quartiles_are_those_of_the_rounds():
    built, _ = build([Variant("expert", linear), Variant("other", linear)])
    times = [[2.0, 1.0], [1.0, 3.0], [4.0, 4.0], [1.0, 2.0], [2.0, 5.0]]
    row = summarise(times, built, [count(one.run.loss) for one in built])["other"]
    assert (row.ms_low, row.ms, row.ms_high) == (2000, 3000, 4000)
    assert (row.ratio_low, row.ratio, row.ratio_high) == (1.0, 1.5, 2.5)


def test_time_that_is_up_ends_the_measurement_after_some_rounds():
    assert len(alternate([lambda: None], rounds=1000, seconds=0.0)) == 7


def test_the_clock_of_the_processor_does_not_count_waiting():
    (wall,), (cpu,) = (alternate([lambda: time.sleep(0.05)], 1, 0.0, clock) for clock in ("wall", "cpu"))
    assert cpu[0] < 0.04 < wall[0]


def test_operators_are_counted_forward_backward_and_in_the_optimiser():
    plain, fused = (count(linear(fused=fused).step) for fused in (False, True))
    assert plain.operators > fused.operators > 10
    # Two products of [4, 3] and [3, 1]: the value, and the gradient by the weight.
    assert plain.gflop == pytest.approx(2 * 2 * 4 * 3 * 1e-9)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (Agreement.NOISE, {"shift": 1e-2}),
        (Agreement.EXPECTATION, {"shift": 0.5, "noise": 0.1}),
        (Agreement.EXPECTATION, {"shift": float("nan")}),
    ],
)
def test_a_variant_that_computes_something_else_is_found(kind, changes):
    built, _ = build([Variant("expert", linear), Variant("wrong", partial(linear, **changes), kind)])
    with pytest.raises(agreement.Disagreement, match="`wrong`"):
        agreement.check(built, draws=20)


def test_a_gradient_that_is_wrong_is_found_though_the_value_is_right():
    def detached():
        run = linear()
        return replace(run, loss=lambda: (v := run.loss()) + 0.5 * (v.detach() - v))

    built, _ = build([Variant("expert", linear), Variant("wrong", detached, Agreement.NOISE)])
    with pytest.raises(agreement.Disagreement, match=r"its gradient is off by 0\.5"):
        agreement.check(built, draws=2)


def test_what_agrees_passes():
    noisy = partial(linear, noise=0.1)
    built, _ = build([Variant("a", linear), Variant("b", linear, Agreement.NOISE), Variant("c", noisy)])
    agreement.check(built, draws=20)


def test_what_cannot_run_is_left_out_with_a_word():
    def absent():
        raise Unavailable("there is none")

    built, skipped = build([Variant("expert", linear), Variant("other", absent)])
    assert [one.variant.name for one in built] == ["expert"]
    assert skipped == {"other": "there is none"}
    with pytest.raises(RuntimeError, match="the reference `other` does not run"):
        build([Variant("other", absent)])
    with pytest.raises(ModuleNotFoundError):
        peer("no_such_peer", "pyro")


def test_a_regression_is_found_and_an_improvement_is_none():
    recorded = results()
    assert regressions(recorded, recorded) == []
    assert regressions(results(ratio=0.5, operators=50), recorded) == []
    assert regressions(results(ratio=0.85), recorded) == []
    assert regressions(results(ratio=0.95), recorded) == [
        "vae/1, symdgm: ratio 0.95, recorded 0.80, tolerated 0.92"
    ]
    assert regressions(results(operators=110), recorded) == ["vae/1, symdgm: 110 operators, recorded 100"]


def test_operators_are_compared_under_one_version_of_torch_only():
    now = results(operators=110)
    assert regressions(replace(now, machine={"torch": "2.14"}), results()) == []


def test_peers_may_become_slower_and_our_own_variants_may_not_vanish():
    now = results()
    slower = {"expert": ROW, "Pyro": replace(ROW, ratio=9.0)}
    outcome = replace(now.outcomes["vae/1"], rows=slower, skipped={"symdgm": "no compiler"})
    assert regressions(replace(now, outcomes={"vae/1": outcome}), results()) == [
        "vae/1, symdgm: gone (no compiler)"
    ]
    assert regressions(replace(now, outcomes={}), results()) == []
    unasked = replace(outcome, skipped={})
    assert regressions(replace(now, outcomes={"vae/1": unasked}), results()) == []


def test_results_are_written_and_read(tmp_path):
    path = tmp_path / "new" / "results.json"
    write(results(), path)
    assert read(path) == results()
    other = {"gan/1": results().outcomes["vae/1"]}
    write(replace(results(), outcomes=other), path)
    assert set(read(path).outcomes) == {"vae/1", "gan/1"}
    write(replace(results(), outcomes=other, clock="cpu"), path)
    assert set(read(path).outcomes) == {"gan/1"}
    path.write_text(path.read_text().replace('"format": 1', '"format": 0'))
    with pytest.raises(ValueError, match="has format 0, not 1"):
        read(path)


def test_the_command_checks_and_fails_on_a_regression(tmp_path, capsys):
    now, then = tmp_path / "now.json", tmp_path / "then.json"
    write(results(ratio=1.2), now)
    write(results(), then)
    assert command.main(["--from", str(now), "--check", str(then)]) == 1
    assert "vae/1, symdgm: ratio 1.20, recorded 0.80" in capsys.readouterr().out
    assert command.main(["--from", str(now), "--check", str(then), "--tolerance", "0.6"]) == 0
    assert command.main(["--from", str(then), "--check", str(then)]) == 0
    assert "nothing became slower" in capsys.readouterr().out


def test_the_command_measures_and_writes(tmp_path, capsys):
    files = {name: tmp_path / name for name in ("r.json", "r.md", "r.png")}
    words = ["vimco", "--tiny", "--steps", "2", "--threads", str(torch.get_num_threads()), "--only", "symdgm"]
    words.append("--no-compile")
    flags = ("--json", "--table", "--plot")
    paths = [word for pair in zip(flags, map(str, files.values()), strict=True) for word in pair]
    assert command.main([*words, *paths]) == 0
    assert "| symdgm | " in capsys.readouterr().out
    content = json.loads(files["r.json"].read_text())
    assert set(content["outcomes"]["vimco/10"]["rows"]) >= {"expert", "symdgm"}
    assert "torch.distributions" not in content["outcomes"]["vimco/10"]["rows"]
    assert files["r.png"].read_bytes().startswith(b"\x89PNG")
    assert files["r.md"].read_text().startswith(MARKER)


def test_evaluations_without_gradients_are_measured_alone(tmp_path, capsys):
    words = ["vimco", "--tiny", "--forward", "--steps", "2", "--only", "symdgm", "--no-compile"]
    path = tmp_path / "r.json"
    options = ["--threads", str(torch.get_num_threads()), "--json", str(path)]
    assert command.main([*words, *options]) == 0
    assert "without gradients" in capsys.readouterr().out
    (rows,) = (o["rows"] for name, o in json.loads(path.read_text())["outcomes"].items() if "forward" in name)
    assert rows["expert"]["operators"] < 60 and torch.is_grad_enabled()


def test_the_recorded_results_are_of_workloads_that_there_are():
    recorded = read(command.RECORDED)
    for name, outcome in recorded.outcomes.items():
        assert set(outcome.rows) <= {variant.name for variant in WORKLOADS[name].tiny()}
    assert regressions(recorded, recorded) == []
    readme = (command.RECORDED.parents[1] / "README.md").read_text(encoding="utf-8")
    assert readme.endswith(document(recorded.machine, recorded.outcomes, recorded.clock))


def test_a_table_replaces_what_stands_behind_the_marker(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(f"Words.\n\n{MARKER}\n\nold")
    insert("new\n", path)
    assert path.read_text() == f"Words.\n\n{MARKER}\n\nnew\n"


def test_workloads_are_chosen_by_name_and_by_family(capsys):
    assert [w.name for w in chosen(["vae"])] == ["vae/784-400-10", "vae/784-2000-30"]
    assert len(chosen(["vae"], extra=True)) == 4
    assert [w.name for w in chosen(["dmm/20-128"])] == ["dmm/20-128"]
    assert not any(w.extra for w in chosen([]))
    assert command.main(["no-such"]) == 2
    assert "no workload `no-such`; known: dmm," in capsys.readouterr().err
