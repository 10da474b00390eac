"""An extension of the docstring reader: a function of which a stub file has overloads only is a function, too."""

from __future__ import annotations

import griffe


class OverloadsAlone(griffe.Extension):
    """Gives such a function what its first overload has, and keeps the others as overloads."""

    def on_class(self, *, cls: griffe.Class, **_: object) -> None:
        """Completes a class."""
        complete(cls)

    def on_module(self, *, mod: griffe.Module, **_: object) -> None:
        """Completes a module."""
        complete(mod)


def complete(parent: griffe.Class | griffe.Module) -> None:
    """Adds the functions that are missing among the members."""
    for name, overloads in parent.overloads.items():
        if name not in parent.members and overloads:
            function = overloads[0]
            function.overloads = list(overloads)
            parent.set_member(name, function)
