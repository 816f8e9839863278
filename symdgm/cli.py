"""The command line: ``symdgm show`` says how an equation was read, ``symdgm demo`` trains one."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from sympy import Basic

import symdgm
from symdgm.display.tree import tree
from symdgm.errors import SymdgmError
from symdgm.expressions.notation import ascii, latex, unicode
from symdgm.expressions.signature import signature

VIEWS: dict[str, Callable[[Basic], str]] = {
    "unicode": unicode,
    "latex": latex,
    "ascii": ascii,
    "tree": tree,
    "signature": signature,
}
"""What ``symdgm show`` can show of an equation, in this order."""

REFUSED = 2
"""The exit code when an equation, an option or data are refused; argparse has the same."""


def main(arguments: Sequence[str] | None = None) -> int:
    r"""Run a command.

    Args:
        arguments: the words of the command line after ``symdgm``; default: those of the process.

    Returns:
        The exit code: 0, or 2 after an error, which is printed to stderr as it is.

    Example:
        >>> main(["show", "KL[q||p]", "--as", "latex"])
        D_{\mathrm{KL}}\left[q \,\|\, p\right]
        0
    """
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without Greek shows escapes; it is no reason to fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        command: Callable[[argparse.Namespace], None] = options.command
        command(options)
    except SymdgmError as error:
        print(error, file=sys.stderr)
        return REFUSED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="symdgm", description=symdgm.__doc__.split("\n", 1)[0] if symdgm.__doc__ else None
    )
    parser.add_argument("--version", action="version", version=f"symdgm {symdgm.__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_show(commands.add_parser("show", help="how an equation was read", epilog=_SHOW_NOTE))
    _add_demo(commands.add_parser("demo", help="train a VAE from its equation, and draw what it learned"))
    return parser


_SHOW_NOTE = "An equation that begins with a minus sign comes after `--`: symdgm show -- '-log p(x)'."


def _add_show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "equation", metavar="EQ", help="an objective or a model block; `-` reads it from the standard input"
    )
    parser.add_argument("--as", dest="view", choices=VIEWS, help="one view alone, without its heading")
    parser.set_defaults(command=_show)


def _show(options: argparse.Namespace) -> None:
    # Bytes that are no UTF-8 reach the reader as replacement characters, and are refused by it with a caret.
    text = sys.stdin.buffer.read().decode("utf-8", "replace") if options.equation == "-" else options.equation
    expression = symdgm.parse(text)
    if options.view:
        print(VIEWS[options.view](expression))
        return
    print("\n\n".join(f"{name}\n{_indented(view(expression))}" for name, view in VIEWS.items()))


def _indented(text: str) -> str:
    return "\n".join("  " + line for line in text.splitlines())


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        help="a folder with MNIST's IDX files; default: that in SYMDGM_DATA, or else scikit-learn's digits",
    )
    parser.add_argument("--epochs", metavar="N", type=int, help="how often the data are gone through")
    parser.add_argument(
        "--seed", metavar="N", type=int, default=0, help="makes the run repeatable (default: %(default)s)"
    )
    parser.add_argument(
        "--out",
        metavar="FILE",
        type=Path,
        default=Path("symdgm-demo.png"),
        help="the picture (default: %(default)s)",
    )
    parser.add_argument("--code", action="store_true", help="print the PyTorch that runs as well")
    parser.set_defaults(command=_demo)


def _demo(options: argparse.Namespace) -> None:
    # Threads that wait for each other by spinning lose minutes where something else runs on the machine. It
    # must be said before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from symdgm.demo import run

    run(data=options.data, epochs=options.epochs, seed=options.seed, out=options.out, code=options.code)


if __name__ == "__main__":
    sys.exit(main())
