"""Ctrl-C ends a run between two steps, and is again what it was afterwards."""

import os
import signal
import threading

import pytest
from training_models import VAE, images

from symdgm.training import TrainingInterrupted, fit
from symdgm.training.interrupts import interruptible


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_the_step_is_finished_first():
    model = VAE()
    model.spoil = lambda step, loss: interrupt() or loss if step == 2 else loss
    with pytest.raises(KeyboardInterrupt) as caught:
        fit(model, images(), batch_size=50, seed=0, progress=False)
    assert isinstance(caught.value, TrainingInterrupted)
    expected = VAE()
    fit(expected, images(), batch_size=50, seed=0, progress=False)
    assert model.steps == [0, 1, 2] and expected.steps == [0, 1, 2, 3, 4, 5]
    assert model.modes[-1] is False
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interruption_after_the_last_step_is_heard(tmp_path):
    model = VAE()

    def during_validation(on):
        VAE.train_mode(model, on)
        if not on and len(model.modes) == 2:
            interrupt()

    model.train_mode = during_validation
    with pytest.raises(TrainingInterrupted, match="after 1 epochs") as caught:
        fit(model, images(), validation=images(10), checkpoint=tmp_path / "c", progress=False)
    assert caught.value.history.last.epoch == 1 and (tmp_path / "c").exists()


def test_the_second_is_obeyed_at_once():
    with pytest.raises(KeyboardInterrupt), interruptible() as interruption:
        interrupt()
        assert interruption.asked
        interrupt()
        pytest.fail("the second interruption was not obeyed")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_programs_own_handler_is_left_alone():
    heard = []

    def own(number, frame):
        heard.append(number)

    before = signal.signal(signal.SIGINT, own)
    try:
        with interruptible() as interruption:
            interrupt()
            assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)
    assert heard == [signal.SIGINT] and not interruption.asked


def test_other_threads_can_train():
    histories = []
    thread = threading.Thread(target=lambda: histories.append(fit(VAE(), images(), progress=False)))
    thread.start()
    thread.join()
    assert len(histories[0]) == 1
