"""A model: an objective with its networks, ready to be trained, saved and sampled from."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
from sympy import Basic
from torch import Tensor, nn

from symdgm import forecasting, training
from symdgm.binding import Scalars
from symdgm.binding.classify import declared_node
from symdgm.binding.observations import collect, read_data
from symdgm.binding.papers import as_papers_mean
from symdgm.block import build
from symdgm.derivation import Derivation
from symdgm.distributions import Distribution
from symdgm.errors import NotSupportedError, SymdgmError
from symdgm.expressions.node import Node
from symdgm.expressions.notation import latex, unicode
from symdgm.generation import Generator
from symdgm.objective import OPTIONS, Objective, code_of, distributions_of, reading_of
from symdgm.parsing import parse
from symdgm.runtime import diagnose
from symdgm.statement import is_block
from symdgm.training import Evaluation, History, RandomState, Stepper
from symdgm.training.randomness import seeded


@final
class Model(nn.Module):
    r"""An equation and its networks as something that can be trained.

    Args:
        text: an objective that begins with ``maximize`` or ``minimize``, or a block of statements, one a
            line.
        distributions: the distributions that it names, besides those that the block defines.
        samples: draws for each expectation; see `Objective`.
        analytic: whether closed forms are used; see `Objective`.
        validate: whether values are checked; see `Objective`.
        truncate: after how many steps gradients stop; see `Objective`.
        checkpoint: how many steps are computed anew together; see `Objective`.
        names: networks, scalars (numbers, parameters, functions of the training step), event shapes; see
            `Objective`.

    Raises:
        GrammarError: the text cannot be read.
        NameResolutionError: a name refers to nothing or to several things.
        NotSupportedError: a construct that this version cannot compute.

    Example:
        >>> import torch, symdgm as sd
        >>> vae = sd.Model('''
        ...     p(z)   = Normal(z; 0, 1)
        ...     q(z|x) = Normal(z; enc(x))
        ...     p(x|z) = Bernoulli(x; logits = dec(z))
        ...     maximize E_q(z|x)[log p(x|z)] - beta KL[q(z|x) || p(z)]
        ... ''', enc=lambda x: (x[:, :2], torch.ones(len(x), 2)), dec=torch.nn.Linear(2, 4), beta=1.0, z=2)
        >>> history = vae.fit(torch.ones(64, 4), epochs=1, progress=False)
        >>> vae.sample(3)["x"].shape
        torch.Size([3, 4])
    """

    def __init__(
        self,
        text: str | Node,
        *distributions: Distribution,
        samples: int | Mapping[str, int] = 1,
        analytic: bool = True,
        validate: bool = True,
        truncate: int | None = None,
        checkpoint: int | None = None,
        **names: Any,
    ) -> None:
        super().__init__()
        options: dict[str, Any] = {
            "samples": samples,
            "analytic": analytic,
            "validate": validate,
            "truncate": truncate,
            "checkpoint": checkpoint,
        }
        reading = as_papers_mean(reading_of(text), names, parse)
        self.text: Basic = reading.expression
        if is_block(reading.expression):
            declared = [(declared_node(d, parse), d) for d in distributions_of(distributions)]
            inner, environment = build(reading, declared, names, OPTIONS)
            self.objective = Objective.over(inner, environment, **options)
        else:
            self.objective = Objective(text, *distributions, **options, **names)
        if self.objective.direction is None:
            raise NotSupportedError(
                "the equation does not say whether to maximise or to minimise it",
                hint=f"write `maximize {self.objective!r}`",
            )
        self.factors, self.networks = self.objective.factors, self.objective.networks
        for name, parameter in self.objective.scalars.parameters().items():
            self.register_parameter(f"scalar_{name}", parameter)
        for name, parameter in self.objective.bound.initial.items():
            self.register_parameter(f"initial_{name}", parameter)
        self._stepper: Stepper | None = None

    # Looking.

    @property
    def derivation(self) -> Derivation:
        """How the equation became one that can be computed."""
        return self.objective.derivation

    @property
    def code(self) -> str:
        """The PyTorch that runs; see `Objective.code`."""
        return code_of(self.objective, "model.loss")

    @property
    def scalars(self) -> Scalars:
        """The scalars by name; see `Objective.scalars`."""
        return self.objective.scalars

    def terms(self, values: object = None, /, *, n: int = 1, **data: object) -> dict[str, Tensor]:
        """Each term by its own mathematical name; see `Objective.terms`."""
        return self.objective.terms(values, n=n, **data)

    def loss(self, values: object = None, /, *, n: int = 1, **data: object) -> Tensor:
        """What is minimised, ``[]``: the objective, or its negative where it is maximised.

        Networks are in the mode in which they are: training mode at first, evaluation mode after `fit`;
        ``model.train()`` and ``model.eval()`` change it.

        Args:
            values: see `Objective.__call__`, whose errors it raises.
            n: see `Objective.__call__`.
            data: see `Objective.__call__`.
        """
        return self._signed(self.objective(values, n=n, **data))

    def forward(self, values: object = None, /, *, n: int = 1, **data: object) -> Tensor:
        """The loss, so that ``model(x=batch)`` is a loss like that of any module; see `loss`."""
        return self.loss(values, n=n, **data)

    def __repr__(self) -> str:
        bound = [f for f in self.objective.bound.environment.factors if not f.derived]
        factors = "\n".join(f"  {f.distribution!r}" for f in bound)
        return f"{unicode(self.text)}\n{factors}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {latex(self.text)}$"

    # Training.

    def fit(self, data: object, **options: Any) -> History:
        """Train on data; all options are those of `symdgm.training.fit`.

        Networks are in training mode within its steps, and in evaluation mode afterwards.

        Args:
            data: tensors or arrays ``[N, *event]``, a tuple or dict of them, a Dataset, or a DataLoader;
                of sequences ``[N, time, *event]``, lengths may be given too.
            options: ``epochs``, ``batch_size``, ``optimizer``, ``lr``, ``clip_norm``, ``validation``,
                ``seed``, ``progress``,
                ``checkpoint``, ``resume`` and more.
        """
        return training.fit(self, data, **options)

    def configure(self, **options: Any) -> Stepper:
        """Set the optimiser of `train_step`: ``optimizer``, ``lr``, ``clip_norm``, … as in `fit`."""
        self._stepper = Stepper(self, **options)
        return self._stepper

    def train_step(self, values: object = None, /, **data: object) -> Evaluation:
        """One step on a batch, for a loop of one's own; the evaluation is that from before the step.

        The networks are put into training mode, and stay in it.

        Args:
            values: see `Objective.__call__`, whose errors it raises.
            data: see `Objective.__call__`.
        """
        stepper = self._stepper if self._stepper is not None else self.configure()
        batch = self.objective.read(collect(values, data, self.variables, "model.train_step"))
        self.train_mode(True)
        return stepper(batch)[""]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the weights as safetensors, with the equation as text."""
        training.save(path, self.state(), self.identity)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read weights that `save` wrote.

        Raises:
            FileMismatchError: the file belongs to another equation, or its weights do not fit.
        """
        training.load(path, self)

    # Generating.

    def sample(
        self, n: int | None = None, *, mean: bool = False, seed: int | None = None, **given: object
    ) -> dict[str, Tensor]:
        """Draw from the generative model, ancestors first.

        Args:
            n: how many; by default one for each row of what is given, or one.
            mean: whether the observed variables take their mean instead of a draw.
            seed: makes the draw repeatable.
            given: variables that are fixed, such as labels, each ``[n, *event]``. Of a model of sequences,
                the number of steps under its name, ``T=32``, and sequences or their first steps,
                ``[n, steps, *event]``: latent steps there are inferred, and the rest is generated.

        Returns:
            Variable → ``[n, *event]``, latent and given variables included; sequence →
            ``[n, steps, *event]``.

        Raises:
            DataError: a variable that the model does not have, or a value that is no tensor.
            OptionError: ``n`` is no whole number from 1.
            NameResolutionError: no factor, or more than one, generates a variable.
            ShapeError: the numbers of rows do not agree, or the event shape of a variable is not known yet.
        """
        length = self.objective.bound.lengths
        steps = given.pop(length, None) if length is not None else None
        fixed = read_data(given, tuple(given), next(self.parameters(), None))
        with torch.no_grad(), seeded(seed, self._device()):
            if length is not None:
                return forecasting.sample(self._generator(), n, steps, fixed, mean=mean)
            return self._generator().sample(n, fixed, mean=mean)

    def reconstruct(
        self, x: Tensor, *, mean: bool = True, seed: int | None = None, **given: Tensor
    ) -> Tensor:
        """Encode and decode: draw the latent variables given ``x``, then the first observed variable.

        Args:
            x: values of the first observed variable, ``[batch, *event]``.
            mean: whether the mean is returned instead of a draw.
            seed: makes it repeatable.
            given: the other observed variables, and the lengths of sequences.

        Raises:
            NameResolutionError: no factor, or more than one, infers a latent variable.
            NotSupportedError: the objective has no data.
        """
        if not self.variables:
            raise NotSupportedError(
                "the objective has no data to reconstruct", hint="`sample` draws from the model"
            )
        name = self.variables[0]
        data = self.objective.read({name: x, **given})
        with torch.no_grad(), seeded(seed, self._device()):
            if name in self.objective.bound.sequences:
                return forecasting.reconstruct(self._generator(), name, data, mean=mean)
            return self._generator().reconstruct(name, data, mean=mean)

    def _generator(self) -> Generator:
        return Generator(self.objective.bound.environment, self.objective.events, self.variables)

    def _device(self) -> torch.device:
        return next((p.device for p in self.parameters()), torch.device("cpu"))

    # What `fit` asks for.

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the data."""
        return self.objective.data

    @property
    def ragged(self) -> Mapping[str, Sequence[str]]:
        """The name of the lengths → the data that are sequences."""
        bound = self.objective.bound
        stepped = [name for name in bound.data if name in bound.sequences]
        return {bound.lengths: stepped} if bound.lengths is not None else {}

    @property
    def players(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """The one player, who owns all parameters."""
        return {"": [p for p in self.parameters() if p.requires_grad]}

    @property
    def identity(self) -> Mapping[str, str]:
        """The equation as text, and the digest of its structure."""
        return {"equation": str(self.text), "digest": self.objective.signature}

    def evaluate(self, batch: Mapping[str, Tensor], player: str = "") -> Evaluation:
        """One evaluation of the objective on tensors that were checked."""
        value, terms = self.objective.evaluate(batch)
        return Evaluation(self._signed(value), value, terms)

    def schedule(self, step: int) -> None:
        """Set the scheduled scalars."""
        self.objective.scalars.advance(step)

    def check(self, data: Mapping[str, Tensor]) -> None:
        """Check a whole data set; see `Objective.check`."""
        self.objective.check(data)

    def diagnose(self, batch: Mapping[str, Tensor], rng: RandomState) -> SymdgmError:
        """The error that names the bad term, the first bad intermediate and its variable."""
        with rng.replayed():
            return diagnose(self.objective.runner, batch)

    def train_mode(self, on: bool) -> None:
        """Put all networks into training or evaluation mode."""
        self.train(on)

    def state(self) -> dict[str, Tensor]:
        """All weights and buffers by name."""
        return self.state_dict()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Copy weights and buffers back."""
        self.load_state_dict(dict(state))

    def _signed(self, value: Tensor) -> Tensor:
        return -value if self.objective.direction == "maximize" else value
