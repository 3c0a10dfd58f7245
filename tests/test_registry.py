"""The one registry: what ships, what is registered, what packages offer, and what is refused."""

from __future__ import annotations

import itertools
import runpy
from dataclasses import dataclass
from pathlib import Path

import pytest

from lvlm_audit.errors import SignalError, UsageError
from lvlm_audit.hallucination.signals.registry import GROUP as SIGNAL_GROUP
from lvlm_audit.hallucination.signals.registry import OURS
from lvlm_audit.hallucination.signals.signal import Signal
from lvlm_audit.registry import Registry
from tests.third_party import distribution

_COUNT = itertools.count()


@dataclass(frozen=True)
class Tool:
    name: str
    size: int = 1


def tools(group: str = "lvlm_audit.test_tools") -> Registry[Tool]:
    return Registry("tool", Tool, group, UsageError, (Tool("hammer"), Tool("saw")))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs a module of one line under a group; its name is new each time, as modules stay imported."""

    def install(source: str, target: str = "made", group: str = "lvlm_audit.test_tools") -> str:
        module = f"registry_test_package_{next(_COUNT)}"
        folder = distribution(tmp_path / module, module, source, offered=(group, target))
        monkeypatch.syspath_prepend(str(folder))
        return module

    return install


def test_ours_come_first_and_what_is_registered_after() -> None:
    found = tools()
    axe = found.register(Tool("axe"))
    assert found.names() == ("hammer", "saw", "axe")
    assert found.get("axe") is axe
    assert found.register(Tool("axe")) == axe
    assert found.names() == ("hammer", "saw", "axe")
    found.unregister("axe")
    found.unregister("hammer")
    assert found.names() == ("hammer", "saw")


@pytest.mark.parametrize("taken", ["hammer", "axe"])
def test_a_name_is_given_once(taken: str) -> None:
    found = tools()
    found.register(Tool("axe"))
    with pytest.raises(UsageError, match=f"there is a tool '{taken}' already"):
        found.register(Tool(taken, size=2))
    assert found.get(taken).size == 1


def test_a_file_that_is_run_again_registers_anew(tmp_path: Path) -> None:
    found = tools()
    path = tmp_path / "check_tools.py"
    path.write_text("size = next(sizes)\nfound.register(Tool('axe', size))\n")
    names = {"found": found, "Tool": Tool, "sizes": iter((3, 4))}
    for size in (3, 4):
        runpy.run_path(str(path), dict(names))
        assert found.get("axe").size == size
    path.write_text("for size in (5, 6):\n    found.register(Tool('saber', size))\n")
    with pytest.raises(UsageError, match="there is a tool 'saber' already"):
        runpy.run_path(str(path), dict(names))


def test_what_is_no_tool_is_refused() -> None:
    with pytest.raises(UsageError, match="is str, not a Tool"):
        tools().register("axe")  # type: ignore[arg-type]


def test_a_class_is_not_taken_for_its_instance() -> None:
    with pytest.raises(UsageError, match="is the class Tool, not a Tool"):
        tools().register(Tool)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", " ", None, 3, "a\x1b[2J"])
def test_a_name_has_to_be_typed(name: object) -> None:
    with pytest.raises(UsageError, match="Give it a name that can be typed"):
        tools().register(Tool(name))  # type: ignore[arg-type]


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(
        UsageError, match="'hamer' is not one of hammer, saw. Did you mean 'hammer'"
    ):
        tools().get("hamer")
    assert tools().unknown("zzz") == "'zzz' is not one of hammer, saw."
    assert "zzz" not in tools()
    assert None not in tools()


def test_a_package_offers_one(package) -> None:
    module = package("from tests.test_registry import Tool\nmade = Tool('axe')\n")
    found = tools()
    assert module
    assert found.get("axe") == Tool("axe")
    assert found.names() == ("hammer", "saw", "axe")


def test_packages_are_not_loaded_for_what_ships(package) -> None:
    package("raise RuntimeError('loaded')\n")
    assert tools().get("saw") == Tool("saw")
    assert "hammer" in tools()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("made_up = 1", "cannot be loaded: AttributeError"),
        ("made = 3", "is int, not a Tool"),
    ],
)
def test_a_broken_package_is_named_every_time(package, source: str, message: str) -> None:
    module = package(source)
    found = tools()
    for _ in range(2):
        with pytest.raises(UsageError, match=message) as raised:
            found.get("axe")
        assert f"'offered' ({module}:made), which is installed under lvlm_audit.test_tools" in str(
            raised.value
        )
        assert "Mend or remove it" in str(raised.value)


def test_a_package_may_not_take_a_name_of_ours(package) -> None:
    package("from tests.test_registry import Tool\nmade = Tool('saw', 3)\n")
    with pytest.raises(UsageError, match="there is a tool 'saw' already"):
        tools().names()


def test_a_packages_signal_joins_ours(package) -> None:
    package(
        "from lvlm_audit.hallucination import Signal\n"
        "made = Signal('theirs', 'A length.', 'nobody 2026', lambda e: e.probability[:, 0])\n",
        group=SIGNAL_GROUP,
    )
    found = Registry("signal", Signal, SIGNAL_GROUP, SignalError, OURS)
    assert found.names() == (*(s.name for s in OURS), "theirs")
