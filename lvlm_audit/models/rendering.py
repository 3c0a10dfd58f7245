"""Rendering: a chat template tried out in a process of its own, which may be stopped.

A template is a program that comes with a checkpoint. It may loop, or write more than memory holds, and neither
can be stopped from within. This file is run as a script: it imports jinja2 and nothing of ours.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

SECONDS = 3
"""Of computing time for all trials; real templates take thousandths."""
MEMORY = 1 << 30
"""Bytes."""
SHOWN = 1 << 16
"""Characters of a text that are handed back; its length is told."""


def main() -> None:
    """Reads {"template", "conversations", "variables"} and writes one {"text", "length"} or {"error"} each."""
    _bound()
    asked = json.load(sys.stdin)
    answers: list[dict[str, Any]] = []
    for messages in asked["conversations"]:
        try:
            text = (
                _environment()
                .from_string(asked["template"])
                .render(
                    messages=messages,
                    add_generation_prompt=True,
                    tools=None,
                    documents=None,
                    **asked["variables"],
                )
            )
            answers.append({"text": text[:SHOWN], "length": len(text)})
        except MemoryError:
            answers.append({"memory": True})
        except Exception as error:
            answers.append({"error": str(error)[:400] or type(error).__name__})
    json.dump(answers, sys.stdout)


def _bound() -> None:
    # Windows has no such limits; there the one who started this stops it.
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def _environment() -> Any:
    """What transformers renders templates in, as far as templates can tell."""
    import jinja2
    import jinja2.ext
    import jinja2.nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(jinja2.ext.Extension):
        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return jinja2.nodes.Scope(body, lineno=line)

    def refuse(message: str) -> None:
        raise jinja2.TemplateError(message)

    def as_json(value: Any, ensure_ascii: bool = False, **more: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **more)

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    made.filters["tojson"] = as_json
    made.globals.update(raise_exception=refuse, strftime_now=lambda form: form)
    return made


if __name__ == "__main__":
    main()
