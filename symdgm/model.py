"""A model: an objective with its networks, ready to be trained, saved and sampled from."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, final

from torch import Tensor, nn

from symdgm import sampling, training
from symdgm.binding import Scalars
from symdgm.binding.observations import collect
from symdgm.derivation import Derivation
from symdgm.distributions import Distribution
from symdgm.errors import SymdgmError, refuse_unknown
from symdgm.estimators import Recipe
from symdgm.expressions.node import Node
from symdgm.expressions.notation import latex, unicode
from symdgm.games.assembly import assemble
from symdgm.games.averages import Ema
from symdgm.games.critics import Critics
from symdgm.games.game import (
    after_move,
    all_baselines,
    evaluate,
    find_player,
    read_batch,
    split_batch,
)
from symdgm.games.players import Listed, Player
from symdgm.games.unreached import warn_of_unreached
from symdgm.generated import code_of
from symdgm.given import table
from symdgm.lowering import Option
from symdgm.options import Options
from symdgm.parts import Shelf, all_networks, numbers_of, own_parameters, put_in_mode, written_elsewhere
from symdgm.report import Report
from symdgm.runtime import diagnose
from symdgm.training import Evaluation, History, RandomState, Stepper
from symdgm.training.stepper import STEP_OPTIONS


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
        estimators: how expectations over a variable are estimated; see `Objective`.
        divergences: how divergences of samples are estimated; see `Objective`.
        sharing: whether networks are called once; see `Objective`.
        compile: whether evaluations are compiled; see `Objective`.
        players: in a game, what a player owns, where its name does not say so: ``{"G": ["p(x|z)", net]}``,
            names as in the text, networks, distributions or parameters.
        critic: a network, or an `sd.Critic`, that estimates the divergence that needs one, a player of its
            own; for several a dict from the divergence as it is written.
        ema: networks that follow others as moving averages, ``{"D_bar": 0.999}`` or, under another name,
            ``{"f_xi": ("f_theta", 0.99)}``; those that the text does not name are in `averages`.
        clip_weights: player → the largest absolute value of its weights, kept after each of its steps.
        truncate: after how many steps gradients stop; see `Objective`.
        checkpoint: how many steps are computed anew together; see `Objective`.
        precision: what networks compute in; see `Objective`.
        memory_budget: for draws and states; see `Objective`.
        names: networks, scalars (numbers, functions of the step), tensors, event shapes; see `Objective`.

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
        estimators: Mapping[str, str | Recipe] | None = None,
        divergences: Mapping[str, Option] | None = None,
        sharing: bool = True,
        compile: bool | str = False,
        players: Listed | None = None,
        critic: Critics | None = None,
        ema: Ema | None = None,
        clip_weights: Mapping[str, float] | None = None,
        truncate: int | None = None,
        checkpoint: int | None = None,
        precision: str | None = None,
        memory_budget: int | str | None = None,
        **names: Any,
    ) -> None:
        super().__init__()
        options = vars(Options(
            samples, analytic, validate, estimators, divergences, sharing, compile, truncate, checkpoint,
            precision, memory_budget,
        ))  # fmt: skip
        assembly = assemble(text, distributions, names, options, players, ema, critic, clip_weights)
        self.text, self.objective, self.sides = assembly.text, assembly.objective, assembly.players
        self.factors = self.objective.factors
        self.networks = all_networks(player.objective.bound for player in self.sides.values())
        own_parameters(self, self.objective.bound)
        self.baselines, self._own = all_baselines(self.sides), written_elsewhere(self)
        self.averages, self._averages = Shelf({a.name: a.target for a in assembly.kept}), assembly.averages
        self._variables = tuple(dict.fromkeys(x for s in self.sides.values() for x in s.objective.data))
        warn_of_unreached(self, self.sides)
        self._stepper: Stepper | None = None

    @property
    def derivation(self) -> Derivation:
        """How the equation became one that can be computed; of a game, that of the player who moves first."""
        return next(iter(self.sides.values())).objective.derivation

    @property
    def code(self) -> str:
        """The PyTorch that runs; of a game, that of the player who moves first. See `Objective.code`."""
        return code_of(next(iter(self.sides.values())).objective, "model.loss")

    def player(self, name: str | None = None) -> Player:
        """A player of a game, by its name or by the label of its objective: its objective and parameters.

        Raises:
            OptionError: there is no such player.
        """
        return find_player(self.sides, name)

    @property
    def scalars(self) -> Scalars:
        """The scalars by name; see `Objective.scalars`."""
        return self.objective.scalars

    def terms(
        self, values: object = None, /, *, n: int = 1, player: str | None = None, **data: object
    ) -> dict[str, Tensor]:
        """Each term by its own mathematical name, of a game those of one player; see `Objective.terms`."""
        return self.player(player).objective.terms(values, n=n, **data)

    def report(self, values: object = None, /, *, player: str | None = None, **options: Any) -> Report:
        """Values, gradients, noise and time by term, of a game for one player; see `Objective.report`."""
        return self.player(player).objective.report(values, **options)

    def loss(
        self, values: object = None, /, *, n: int = 1, player: str | None = None, **data: object
    ) -> Tensor:
        """What is minimised, ``[]``: the objective, or its negative where it is maximised.

        Networks are in the mode in which they are: training mode at first, evaluation mode after `fit`;
        ``model.train()`` and ``model.eval()`` change it.

        Args:
            values: see `Objective.__call__`, whose errors it raises.
            n: see `Objective.__call__`.
            player: whose loss, in a game.
            data: see `Objective.__call__`.
        """
        objective = self.player(player).objective
        value = objective(values, n=n, **data)
        return -value if objective.direction == "maximize" else value

    def forward(
        self, values: object = None, /, *, n: int = 1, player: str | None = None, **data: object
    ) -> Tensor:
        """The loss, so that ``model(x=batch)`` is a loss like that of any module."""
        return self.loss(values, n=n, player=player, **data)

    def __repr__(self) -> str:
        bound = [f for f in self.objective.bound.environment.factors if not f.derived]
        factors = "\n".join(f"  {f.distribution!r}" for f in bound)
        return f"{unicode(self.text)}\n{factors}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {latex(self.text)}$"

    def fit(self, data: object = None, *, scalars: Mapping[str, object] = {}, **options: Any) -> History:
        """Train on data, or without on draws; all other options are those of `symdgm.training.fit`.

        Networks are in training mode within its steps, and in evaluation mode afterwards.

        Args:
            data: tensors or arrays ``[N, *event]``, a tuple or dict of them, a Dataset, or a DataLoader.
            scalars: new values, kept afterwards; a schedule is a function of the steps done, as in
                ``scalars={"beta": lambda step: min(1.0, step / 1000)}``.
            options: ``epochs``, ``batch_size``, ``optimizer``, ``lr``, ``steps``, ``seed`` and more.
        """
        for name, value in table("scalars", scalars, "scalars={'beta': 0.5}").items():
            self.scalars[name] = value
        return training.fit(self, data, **options)

    def configure(self, **options: Any) -> Stepper:
        """Set the optimiser of `train_step`: ``optimizer``, ``lr``, ``clip_norm``, … as in `fit`."""
        refuse_unknown(options, STEP_OPTIONS)
        self._stepper = Stepper(self, **options)
        return self._stepper

    def train_step(
        self, values: object = None, /, *, n: int = 1, **data: object
    ) -> Evaluation | dict[str, Evaluation]:
        """One step on a batch, for a loop of one's own; the evaluation is that from before the step.

        The networks are put into training mode, and stay in it. Values are checked for their support in the
        first batch of each shape; names and shapes are checked in every one.

        Args:
            values: see `Objective.__call__`, whose errors it raises.
            n: the number of draws, where there are no data.
            data: see `Objective.__call__`.

        Returns:
            The evaluation; of a game, that of each player who moved.
        """
        stepper = self._stepper if self._stepper is not None else self.configure()
        given = data if values is None else collect(values, data, self.variables, "model.train_step")
        batch = read_batch(self.sides, given, n)
        put_in_mode(self, True)
        evaluations = stepper(batch)
        return evaluations[""] if "" in self.sides else evaluations

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the weights as safetensors, with the equation as text."""
        training.save(path, self.state(), self.identity)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Read weights that `save` wrote.

        Raises:
            FileMismatchError: the file belongs to another equation, or its weights do not fit.
        """
        training.load(path, self)

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
            Variable → ``[n, *event]``, latent and given ones included; sequence → ``[n, steps, *event]``.

        Raises:
            DataError: a variable that the model does not have, or a value that is no tensor.
            NameResolutionError: no factor, or more than one, generates a variable.
            ShapeError: the numbers of rows do not agree, or an event shape is not known yet.
        """
        return sampling.sample(self, n, given, mean=mean, seed=seed)

    def reconstruct(
        self, x: Tensor, *, mean: bool = True, seed: int | None = None, **given: Tensor
    ) -> Tensor:
        """Encode and decode: draw the latent variables given ``x``, then the first observed variable.

        Args:
            x: values of the first observed variable, ``[batch, *event]``.
            mean: whether the mean is returned instead of a draw.
            seed: makes it repeatable.
            given: the other observed variables, and the lengths of sequences.
        """
        return sampling.reconstruct(self, x, given, mean=mean, seed=seed)

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the data."""
        return self._variables

    @property
    def ragged(self) -> Mapping[str, Sequence[str]]:
        """The name of the lengths → the data that are sequences."""
        bound = self.objective.bound
        stepped = [name for name in self.variables if name in bound.sequences]
        return {bound.lengths: stepped} if bound.lengths is not None else {}

    @property
    def players(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """The parameters of each player, in the order in which they move; one alone owns all."""
        if "" in self.sides:
            return {"": [p for p in self.parameters() if p.requires_grad]}
        return {name: [p for p in s.parameters if p.requires_grad] for name, s in self.sides.items()}

    @property
    def identity(self) -> Mapping[str, str]:
        """The equation as text, and the digest of its structure."""
        return {"equation": str(self.text), "digest": self.objective.signature}

    def evaluate(self, batch: Mapping[str, Tensor], player: str = "", *, apart: bool = False) -> Evaluation:
        """One evaluation of a player's objective on tensors that were checked."""
        return evaluate(self.sides, player, batch, apart=apart)

    def schedule(self, step: int) -> None:
        """Set the scheduled scalars."""
        self.objective.scalars.advance(step)

    def pinned(self) -> AbstractContextManager[None]:
        """Inside, scalars are read from tensors that stay where they are."""
        return self.scalars.pinned()

    def refill(self, like: Tensor) -> Hashable:
        """Bring those tensors up to date; what else a step that is recorded where a tensor is depends on."""
        return self.scalars.refill(like.device, self.objective.bound.environment.sizes), numbers_of(self._own)

    def check(self, data: Mapping[str, Tensor]) -> None:
        """Check a whole data set; see `Objective.check`."""
        for side in self.sides.values():
            side.objective.check({k: v for k, v in data.items() if k in side.objective.accepted})

    def moved(self, player: str) -> None:
        """A player's weights have moved: clip them, and let averages follow."""
        after_move(self.sides[player], self._averages)

    def diagnose(self, batch: Mapping[str, Tensor], rng: RandomState, player: str = "") -> SymdgmError:
        """The error that names the bad term, the first bad intermediate and its variable."""
        with rng.replayed():
            objective = self.sides[player].objective
            return diagnose(objective.runner, *split_batch(objective, batch))

    def train_mode(self, on: bool) -> None:
        """Put all networks into training or evaluation mode."""
        put_in_mode(self, on)

    def state(self) -> dict[str, Tensor]:
        """All weights and buffers by name."""
        return self.state_dict()

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Copy weights and buffers back."""
        self.load_state_dict(dict(state))
