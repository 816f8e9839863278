"""Functions of generated source, whose lines tracebacks show."""

from __future__ import annotations

import itertools
import linecache
import weakref
from collections.abc import Callable, Mapping
from typing import Any

from symdgm.lowering import FUNCTION, compiled

_serial = itertools.count(1)
"""Tells the sources of generated functions apart in tracebacks."""


def function(text: str, helpers: Mapping[str, Any] | None = None, name: str = FUNCTION) -> Callable[..., Any]:
    """The function of a source; the lines that tracebacks show go when it goes."""
    filename = f"<symdgm {name} {next(_serial)}>"
    found: Callable[..., Any] = compiled(text, name, filename, helpers)
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    weakref.finalize(found, linecache.cache.pop, filename, None).atexit = False
    return found
