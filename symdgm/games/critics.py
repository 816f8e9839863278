"""Divergences by critics: each becomes a formula of draws and of a critic, who is a player of the game."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from sympy import Basic, Integer, Rational, Tuple, preorder_traversal
from sympy.core.symbol import Str

from symdgm.binding import Environment
from symdgm.binding.factors import ATOMS, Match, reference
from symdgm.binding.joint_draws import unused
from symdgm.binding.sample_laws import Sampled, sampled
from symdgm.errors import NotSupportedError, OptionError
from symdgm.expressions.applications import Apply, Density, Norm, call
from symdgm.expressions.arithmetic import Minus, Plus, Power, Times
from symdgm.expressions.calculus import DerivativeBy
from symdgm.expressions.expectations import Binder, DivergenceBetween, Expect
from symdgm.expressions.indices import Aggregate
from symdgm.expressions.names import Name, Subscripted
from symdgm.expressions.resolved import Permuted
from symdgm.games.critic import LOSSES, Critic
from symdgm.games.critic_forms import FORMS, Form, Sum, scaled
from symdgm.games.sides import Side
from symdgm.objective import Objective
from symdgm.rewriting import Change, Step

Critics = Critic | Callable[..., object] | Mapping[str, "Critic | Callable[..., object]"]
"""One for the divergence that needs one, or one for each divergence as it is written or by its kind."""
TWO = Integer(2)
DATA = Name("data")


@dataclass(frozen=True)
class Estimated:
    """A divergence with its critic.

    Args:
        side: what the critic maximises.
        replacement: what stands for the divergence in other objectives.
        step: the record of it.
        critic: the critic, under the name that it has in formulas.
    """

    divergence: Basic
    side: Side
    replacement: Basic
    step: Step
    critic: Critic


def estimate_divergences(
    sides: Sequence[Side], environment: Environment, given: Critics, read: Callable[[str], Basic]
) -> list[Estimated]:
    """The divergences of some objectives that have critics.

    Args:
        sides: the objectives.
        environment: what is bound; the critics' networks are added.
        given: the option ``critic``.
        read: text → node.

    Raises:
        OptionError: a critic of no divergence, or of more than one.
        NameResolutionError: a law that nothing draws.
    """
    formulas = [side.body for side in sides]
    divergences = list({d: None for f in formulas for d in preorder_traversal(f) if _is_divergence(d)})
    found = []
    for divergence, critic in _chosen(divergences, environment, given, read):
        name = _name(critic, environment)
        environment.networks = {**environment.networks, name: critic.network}
        found.append(_estimated(divergence, replace(critic, name=name, spectral_norm=False), environment))
    return found


def with_critics(side: Side, estimated: Sequence[Estimated]) -> Side:
    """An objective in which the divergences that have critics are written out."""
    return replace(side, body=_swapped(side.body, {e.divergence: e.replacement for e in estimated}))


def _swapped(node: Basic, swaps: Mapping[Basic, Basic]) -> Basic:
    if node in swaps:
        return swaps[node]
    arguments = [_swapped(a, swaps) for a in node.args]
    same = all(new is old for new, old in zip(arguments, node.args, strict=True))
    return node if same else node.func(*arguments)


def record(estimated: Estimated, objectives: Iterable[Objective]) -> None:
    """Say in the derivations of others what stands for a divergence."""
    for objective in {id(o): o for o in objectives}.values():
        steps = (estimated.step, *objective.derivation.steps)
        objective.derivation = replace(objective.derivation, steps=steps)


def _is_divergence(node: Basic) -> bool:
    return isinstance(node, DivergenceBetween)


def _name(critic: Critic, environment: Environment) -> str:
    """What a critic is called: as it is asked for, or ``critic``, numbered where there are several."""
    name, count = critic.name or "critic", 1
    while name in environment.networks:
        if critic.name:
            raise OptionError(f"the critic `{name}` is called like another network", hint="rename one")
        count += 1
        name = f"critic_{count}"
    return name


def _chosen(
    divergences: Sequence[Basic], environment: Environment, given: Critics, read: Callable[[str], Basic]
) -> list[tuple[Basic, Critic]]:
    if not isinstance(given, Mapping):
        needy = [d for d in divergences if d.kind in LOSSES and _needs_critic(d, environment)]
        candidates = needy or [d for d in divergences if d.kind in LOSSES]
        if len(candidates) != 1:
            listed = ", ".join(f"`{d}`" for d in candidates)
            these = f"these could have one: {listed}" if listed else "none here could have one"
            raise OptionError(
                f"`critic` is for one divergence, but {these}",
                hint="say whose it is: `critic={'JS[data(x) || p(x)]': network}`; a critic estimates "
                f"{', '.join(kind.removesuffix('_1') for kind in LOSSES)}",
            )
        return [(candidates[0], _critic(given))]
    found = {}
    for key, critic in given.items():
        matching = [d for d in divergences if d.kind in LOSSES and _is_meant(key, d, read)]
        if len(matching) != 1 or matching[0] in found:
            listed = ", ".join(f"`{d}`" for d in divergences) or "none"
            raise OptionError(
                f"`critic` names `{key}`, which is {len(matching) or 'none'} of the divergences: {listed}",
                hint="write the divergence as in the objective, each with one critic",
            )
        found[matching[0]] = _critic(critic)
    return list(found.items())


def _critic(given: object) -> Critic:
    return given if isinstance(given, Critic) else Critic(given)  # type: ignore[arg-type]


def _is_meant(key: str, divergence: Basic, read: Callable[[str], Basic]) -> bool:
    kind = "W_1" if key == "W" else key
    return bool(kind == divergence.kind if kind in LOSSES else read(key) == divergence)


def _needs_critic(divergence: Basic, environment: Environment) -> bool:
    """Whether nothing else estimates a divergence: JS and W do, and where a side can only be drawn."""
    if divergence.kind in ("JS", "W_1"):
        return True
    return any(_has_no_density(law, environment) for law in divergence.args[1:3])


def _has_no_density(law: Basic, environment: Environment) -> bool:
    if isinstance(law, Aggregate):
        return True
    if not isinstance(law, Apply | Density):
        return False
    return environment.data_law(law) is not None or (
        environment.match(law) is None and environment.joint(law) is None
    )


def _estimated(divergence: Basic, critic: Critic, environment: Environment) -> Estimated:
    sides = _sides(divergence, environment)
    loss = critic.loss_for(divergence.kind)
    if (divergence.kind, loss) == ("KL", "ratio") and _is_trained(sides[1]):
        loss = "ratio of what is trained"
    form: Form = FORMS[divergence.kind, loss]
    taken = {Name(name) for name in (*environment.scalars, *environment.networks)}
    output = _Output(Name(critic.name), sides, unused(Name("u"), taken))
    body = output.sum(form.critic, stopped=True)
    if critic.gradient_penalty:
        penalty = scaled(_weight(critic.gradient_penalty), output.penalty())
        body = Plus(*(body.args if isinstance(body, Plus) else (body,)), Minus(penalty))
    main = output.sum(form.main, stopped=False)
    step = Step("critic", form.kind, form.why, (Change(divergence, main),), main, form.reference)
    return Estimated(
        divergence, Side(critic.name, (Name(critic.name),), "maximize", body), main, step, critic
    )


def _weight(number: float) -> Basic:
    return Integer(int(number)) if number == int(number) else Rational(repr(number))


def _sides(divergence: Basic, environment: Environment) -> tuple[_Law, _Law]:
    """Both laws as they are drawn from; a bare name is over the variables of the other side."""
    left, right = divergence.args[1:3]
    if isinstance(left, ATOMS) and not isinstance(right, ATOMS):
        second = _law(right, environment, None)
        return _law(left, environment, second.drawn.values), second
    first = _law(left, environment, None)
    second = _law(right, environment, first.drawn.values)
    if set(first.drawn.values) != set(second.drawn.values):
        raise NotSupportedError(
            f"a critic compares draws of the same variables, but `{left}` is over "
            f"{', '.join(map(str, first.drawn.values))} and `{right}` over "
            f"{', '.join(map(str, second.drawn.values))}",
            hint="write both laws over the same variables, as in `JS[data(x) || p(x)]`",
        )
    return first, second


@dataclass(frozen=True)
class _Law:
    """A side of a divergence.

    Args:
        drawn: how it is drawn from.
        permuted: whether the components of its draws are permuted over the examples.
    """

    drawn: Sampled
    permuted: bool = False


def _law(law: Basic, environment: Environment, over: Sequence[Basic] | None) -> _Law:
    if isinstance(law, Aggregate):
        return _product_of_marginals(law, environment)
    if isinstance(law, Times):
        _refuse_shared_rows(law, environment)
    return _Law(sampled(environment, law, over))


def _refuse_shared_rows(law: Basic, environment: Environment) -> None:
    """Refuse a product whose factors would be drawn from the same rows of a batch, and so not independently.

    Raises:
        NotSupportedError: with the factors.
    """
    rows = [row for factor in law.args for row in sampled(environment, factor).rows]
    if len(set(rows)) < len(rows):
        raise NotSupportedError(
            f"the factors of `{law}` are drawn from the same rows of a batch, so they are not independent",
            hint="bind one of them as a distribution of its own",
        )


def _product_of_marginals(law: Aggregate, environment: Environment) -> _Law:
    """``prod_j q(z_j)``: draws of ``q(z)`` whose components are permuted."""
    body, index = law.body, law.index.variable
    component = body.args[-1] if isinstance(body, Apply) and len(body.args) == 2 else None
    if law.kind != "prod" or not isinstance(component, Subscripted) or component.indices != (index,):
        raise NotSupportedError(
            f"`{law}` is no product of the marginals of one variable",
            hint="write `prod_j q(z_j)` of the components of z",
        )
    return _Law(sampled(environment, Apply(body.args[0], component.head)), permuted=True)


def _is_trained(law: _Law) -> bool:
    """Whether the draws of a law depend on something that is trained, other than on the first law.

    To first order a divergence from the product of the marginals of q does not change with that product.
    """
    distributions = [m.factor.distribution for m in law.drawn.matches]
    return not law.permuted and any(p.requires_grad for d in distributions for p in d.parameters())


class _Output:
    """The critic's output at draws of both sides.

    Args:
        head: the name of the critic.
        sides: the two laws.
        between: a name for the place between draws of both.
    """

    def __init__(self, head: Name, sides: tuple[_Law, _Law], between: Basic) -> None:
        self.head = head
        self.sides = sides
        self.given = tuple(dict.fromkeys(g for s in sides for g in s.drawn.givens))
        self.between = between

    def sum(self, form: Sum, *, stopped: bool) -> Basic:
        """The sum of a form; with stopped draws for the critic, who does not move them."""
        parts = zip(self.sides, (form.first, form.second), strict=True)
        means = [(part, self.mean(law, part.of, stopped=stopped)) for law, part in parts if part is not None]
        terms = [Minus(scaled(form.factor, m)) if p.negative else scaled(form.factor, m) for p, m in means]
        terms += [] if form.constant is None else [form.constant]
        return Plus(*terms) if len(terms) > 1 else terms[0]

    def mean(self, law: _Law, of: Callable[[Basic], Basic], *, stopped: bool) -> Basic:
        """``E[of(T)]`` over the draws of one side."""
        binders, values = _binders(law.drawn, {})
        at = [Permuted(v) for v in values] if law.permuted else list(values)
        moving = stopped and bool(law.drawn.matches)
        arguments = [call("sg", a) if moving else a for a in at]
        return Expect(of(Apply(self.head, *arguments, *self.given)), *binders)

    def penalty(self) -> Basic:
        """``E[(||grad_y T(y)|| - 1)^2]`` at points between draws of both sides."""
        first, second = self.sides
        if len(first.drawn.values) != 1:
            raise NotSupportedError(
                "a gradient penalty is for a critic of one variable", hint="leave `gradient_penalty` out"
            )
        own, ends = _binders(first.drawn, {})
        left = ends[0]
        taken = {left, self.between, *self.given, *_all_drawn(first.drawn)}
        others, others_ends = _binders(second.drawn, {v: unused(v, taken) for v in _all_drawn(second.drawn)})
        pairs = ((left, first), (others_ends[0], second))
        points = [Permuted(v) if law.permuted else v for v, law in pairs]
        rest = Plus(Integer(1), Minus(self.between))
        point = call("sg", Plus(Times(self.between, points[0]), Times(rest, points[1])))
        slope = Norm(DerivativeBy(Str("grad"), Apply(self.head, point, *self.given), point), TWO)
        uniform = Binder(Tuple(self.between), Apply(Name("U"), Integer(0), Integer(1)))
        binders = {binder.args: binder for binder in (*own, *others)}
        return Expect(Power(Plus(slope, Minus(Integer(1))), TWO), *binders.values(), uniform)


def _all_drawn(law: Sampled) -> list[Basic]:
    return [v for m in law.matches for v in m.values]


def _binders(law: Sampled, names: Mapping[Basic, Basic]) -> tuple[list[Binder], tuple[Basic, ...]]:
    """What is drawn, ancestors first, and the wanted variables; rows of the batch come first."""
    rows = [Binder(Tuple(), _data(law))] if law.rows else []
    drawn = []
    for match in law.matches:
        values = tuple(names.get(v, v) for v in match.values)
        givens = tuple(names.get(g, g) for g in match.givens)
        own = match.factor.variables
        node = Match(match.factor, own, givens).node
        drawn.append(Binder(Tuple(*(() if values == own else values)), node))
    return [*rows, *drawn], tuple(names.get(v, v) for v in law.values)


def _data(law: Sampled) -> Basic:
    """The law of the rows: as it was written, or the data's own name."""
    written = isinstance(law.node, Apply) and not law.matches
    return law.node if written else reference(DATA, law.rows, ())
