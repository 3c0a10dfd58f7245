"""Options of a command line, made from declarations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from lvlm_audit.settings.declared import REQUIRED, Declared


def add_options(
    add: Callable[..., Any],
    known: Mapping[str, Declared],
    *,
    prefix: str = "--",
    only: Iterable[str] | None = None,
) -> None:
    """Add an option for each declared setting. None is what an option that was not given has.

    Values are checked when settings are made of them (`settings.checking.checked`), so that every command
    line says the same of a wrong one.

    Args:
        add: `addoption` of a pytest group, or `add_argument` of an argparse parser.
        known: what is declared.
        prefix: of every option.
        only: these settings alone, in this order.
    """
    for name in known if only is None else only:
        declared = known[name]
        flag = prefix + name.replace("_", "-")
        if declared.kind == "flag":
            add(flag, action="store_const", const=True, default=None, help=declared.help)
            continue
        needed = {"required": True} if declared.default is REQUIRED else {}
        shown = "" if needed or declared.default is None else f" (default: {declared.default})"
        # argparse reads % as the start of a placeholder.
        text = (declared.help + shown).replace("%", "%%")
        add(flag, default=None, metavar=declared.values, help=text, **needed)
