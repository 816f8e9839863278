"""Finished functions: when one is made, how many are kept, and that nothing is left behind."""

import copy
import gc
import linecache
import pickle
import threading
import weakref

import torch
from runtime_models import batch, elbo
from torch import nn

import symdgm as sd
from symdgm.runtime import Runner
from symdgm.runtime.programs import MAX_PROGRAMS


def test_one_program_for_all_batch_sizes_from_two_values_and_modes() -> None:
    objective = elbo()
    for rows in (3, 2, 7):
        objective(x=batch(rows))
    objective.scalars["beta"] = 0.2
    objective(x=batch())
    objective.scalars["beta"] = lambda step: 0.1 * step
    objective(x=batch())
    with torch.no_grad():
        objective(x=batch())
    assert len(objective.runner.programs) == 1


def test_other_outputs_dtypes_and_events_are_other_programs() -> None:
    objective = sd.Objective("log p(x)", sd.Normal("p(x)", loc=0.0, scale=1.0))
    objective(x=torch.zeros(2, 3))
    objective(x=torch.zeros(2, 4))
    objective(x=torch.zeros(2, 3, dtype=torch.float64))
    objective.per_example(x=torch.zeros(2, 3))
    assert len(objective.runner.programs) == 4


def test_the_first_evaluation_equals_all_later_ones() -> None:
    objective = elbo()
    values = []
    for _ in range(3):
        torch.manual_seed(3)
        values.append(objective(x=batch()))
    assert torch.equal(values[0], values[1]) and torch.equal(values[1], values[2])


def test_programs_are_bounded() -> None:
    objective = sd.Objective("log p(x)", sd.Normal("p(x)", loc=0.0, scale=1.0))
    for size in range(1, MAX_PROGRAMS + 6):
        objective(x=torch.zeros(1, size))
    assert len(objective.runner.programs) == MAX_PROGRAMS
    assert objective(x=torch.zeros(1, 1)).shape == ()


def test_weights_are_read_anew() -> None:
    objective = elbo()
    torch.manual_seed(3)
    before = objective(x=batch())
    with torch.no_grad():
        for parameter in objective.parameters():
            parameter.mul_(2)
    torch.manual_seed(3)
    assert not torch.equal(objective(x=batch()), before)


def test_nothing_is_left_behind() -> None:
    def build() -> weakref.ref[nn.Module]:
        objective = elbo()
        objective(x=batch()).backward()
        return weakref.ref(objective.factors)

    lines = len([name for name in linecache.cache if name.startswith("<symdgm objective")])
    alive = [build() for _ in range(200)]
    gc.collect()
    assert not any(reference() is not None for reference in alive)
    assert len([name for name in linecache.cache if name.startswith("<symdgm objective")]) <= lines


def test_tracebacks_show_the_generated_lines() -> None:
    objective = elbo()
    objective(x=batch())
    program = objective.runner.last()
    assert program is not None
    assert linecache.getline(program.function.__code__.co_filename, 1) == "import torch\n"


def test_threads_share_one_program() -> None:
    objective = elbo()
    errors: list[BaseException] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        try:
            barrier.wait()
            for _ in range(5):
                objective(x=batch()).backward()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(objective.runner.programs) == 1


def test_a_copy_makes_its_own_programs() -> None:
    objective = elbo()
    objective(x=batch())
    for other in (copy.deepcopy(objective), pickle.loads(pickle.dumps(objective))):
        assert isinstance(other.runner, Runner)
        assert not other.runner.programs
        assert other.events == objective.events
        torch.manual_seed(3)
        expected = objective(x=batch())
        torch.manual_seed(3)
        assert torch.equal(other(x=batch()), expected)
        with torch.no_grad():
            other.parameters()[0].zero_()
        torch.manual_seed(3)
        assert torch.equal(objective(x=batch()), expected)


def test_asking_for_the_inputs_draws_nothing() -> None:
    objective = elbo()
    torch.manual_seed(3)
    objective.inputs(x=batch())
    after = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(torch.rand(1), after)
