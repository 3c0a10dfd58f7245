"""The content of a model in memory as a key, so that the store never serves one model as another.

Everything is read that may change what the model computes: each module's class and code, its parameters,
buffers and other attributes, its configuration, and the processor as it would be saved. What cannot be read
as content (a hook, a method that was exchanged, an object with a state that Python does not show) has no
key, and then nothing is kept. Two models of equal content compute the same, so they may share a recording.
"""

from __future__ import annotations

import enum
import functools
import hashlib
import importlib.metadata
import json
import re
import sys
import tempfile
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from lvlm_audit.models.hooked import HookedModel


class NoContentError(Exception):
    """Something cannot be read as content; the message says what, and where."""


def content_key(hooked: HookedModel) -> str:
    """SHA-256 over a model and its processor; hexadecimal. Reads every weight once.

    Raises:
        NoContentError: part of it has no content that could be compared.
    """
    if any(getattr(nn.modules.module, name) for name in _GLOBAL_HOOKS):
        raise NoContentError("hooks on all modules are set in torch")
    reading = _Reading()
    reading.feed("the model", hooked.model)
    reading.processor(hooked.processor)
    return reading.sha.hexdigest()


_GLOBAL_HOOKS = tuple(
    name
    for name, value in vars(nn.modules.module).items()
    if name.startswith("_global_") and name.endswith("_hooks") and isinstance(value, dict)
)
_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), range, slice)
_TORCH_PLAIN = (torch.dtype, torch.layout, torch.memory_format)
_TENSORS = (torch.Tensor, nn.Parameter, nn.Buffer)
_BUILTIN = (types.BuiltinFunctionType, types.WrapperDescriptorType, types.MethodDescriptorType)


class _Reading:
    """Feeds one hash; everything with its kind and length before it, so that no two things run together."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()
        # The objects are held, or another could come to have the same id.
        self._seen: dict[int, tuple[int, object]] = {}

    def feed(self, where: str, value: Any) -> None:
        """One value, and all that it is made of."""
        if isinstance(value, _PLAIN) and type(value) in _PLAIN:
            return self._add(type(value).__name__, repr(value).encode("utf-8", "surrogatepass"))
        if isinstance(value, _TORCH_PLAIN):
            return self._add("torch", repr(value).encode())
        if id(value) in self._seen:
            return self._add("again", str(self._seen[id(value)][0]).encode())
        self._seen[id(value)] = (len(self._seen), value)
        if isinstance(value, torch.device):
            self._add("device", str(value).encode())
        elif isinstance(value, enum.Enum):
            self._add("enum", f"{_name(type(value))}.{value.name}".encode())
        elif isinstance(value, torch.Tensor):
            self._tensor(where, value)
        elif isinstance(value, np.ndarray | np.generic) and not value.dtype.hasobject:
            self._add(f"array {value.dtype} {value.shape}", np.ascontiguousarray(value).tobytes())
        elif isinstance(value, type):
            self._class(where, value)
        elif isinstance(value, types.FunctionType):
            self._function(where, value)
        elif isinstance(value, types.MethodType):
            self.feed(f"{where}.__self__", value.__self__)
            self.feed(f"{where}.__func__", value.__func__)
        elif isinstance(value, _BUILTIN):
            home = getattr(value, "__objclass__", None) or value.__module__
            self._add("builtin", f"{home}.{value.__qualname__}".encode())
        elif isinstance(value, re.Pattern):
            self._each(where, "pattern", (value.pattern, value.flags))
        elif isinstance(value, functools.partial):
            self._each(where, "partial", (value.func, value.args, value.keywords))
        elif isinstance(value, types.ModuleType):
            self._module(where, value)
        elif type(value) in (list, tuple, torch.Size):
            self._each(where, type(value).__name__, value)
        elif type(value) in (set, frozenset):
            self._each(where, "set", sorted(value, key=repr))
        elif isinstance(value, Mapping) and type(value).__module__ in (
            "builtins",
            "collections",
            "types",
        ):
            self._mapping(where, value)
        else:
            self._object(where, value)
        return None

    def processor(self, processor: Any) -> None:
        """A processor by the files that it would be saved as, and the code of its classes."""
        if not hasattr(processor, "save_pretrained"):
            return self.feed("the processor", processor)
        parts = [processor, *(v for v in vars(processor).values() if hasattr(v, "save_pretrained"))]
        for part in parts:
            self._class("the processor", type(part))
            for name, value in vars(part).items():
                if isinstance(value, types.FunctionType | types.MethodType):
                    raise NoContentError(f"{name} of the processor was exchanged")
        with tempfile.TemporaryDirectory() as folder:
            try:
                processor.save_pretrained(folder)
            except Exception as error:
                raise NoContentError(f"the processor cannot be saved: {error}") from error
            for path in sorted(p for p in Path(folder).rglob("*") if p.is_file()):
                self._add(f"file {path.relative_to(folder).as_posix()}", _saved(path))
        return None

    def _add(self, kind: str, content: Any) -> None:
        self.sha.update(f"{kind} {len(content)}:".encode("utf-8", "surrogatepass"))
        self.sha.update(content)

    def _each(self, where: str, kind: str, values: Any) -> None:
        values = list(values)
        self._add(kind, str(len(values)).encode())
        for i, value in enumerate(values):
            self.feed(f"{where}[{i}]", value)

    def _mapping(self, where: str, value: Mapping[Any, Any]) -> None:
        self._add(type(value).__name__, str(len(value)).encode())
        for key, item in value.items():
            self.feed(f"a key of {where}", key)
            self.feed(f"{where}[{key!r}]", item)

    def _tensor(self, where: str, value: torch.Tensor) -> None:
        if type(value) not in _TENSORS or value.is_meta or value.layout is not torch.strided:
            raise NoContentError(f"{where} is a {type(value).__name__} whose bytes are not here")
        kind = f"{type(value).__name__} {value.dtype} {tuple(value.shape)} {value.device}"
        flat = value.detach().cpu().contiguous().reshape(-1)
        self._add(kind, flat.view(torch.uint8).numpy().data if flat.numel() else b"")

    def _object(self, where: str, value: object) -> None:
        cls = type(value)
        if isinstance(value, nn.Module):
            hooks = [n for n, v in vars(value).items() if n.endswith("_hooks") and v]
            if hooks:
                raise NoContentError(f"{where} ({cls.__name__}) carries {hooks[0].strip('_')}")
        elif cls.__getstate__ is not object.__getstate__:
            raise NoContentError(f"{where} is a {cls.__name__}, whose state Python does not show")
        self.feed(f"the class of {where}", cls)
        try:
            # What Python itself would copy: it refuses objects that keep a state in C.
            _, state, items, pairs = (*object.__reduce_ex__(value, 2)[1:], None, None, None)[:4]
        except TypeError as error:
            raise NoContentError(f"{where} is a {cls.__name__}: {error}") from error
        plain, slots = state if isinstance(state, tuple) else (state, None)
        for part in (plain, slots):
            self._add("state", str(len(part or ())).encode())
            for name, item in (part or {}).items():
                self._add("name", str(name).encode())
                self.feed(f"{where}.{name}", item)
        if items is not None:
            self._each(where, "items", items)
        if pairs is not None:
            self._each(where, "pairs", pairs)

    def _class(self, where: str, cls: type) -> None:
        """Its code, and that of the functions beside it, which its methods call."""
        for one in cls.__mro__:
            if one.__module__ == "builtins" or (id(one) in self._seen and one is not cls):
                continue
            self._seen.setdefault(id(one), (len(self._seen), one))
            self._add("class", _name(one).encode())
            known = _is_installed(one.__module__)
            for name, value in vars(one).items():
                self._member(f"{_name(one)}.{name}", value, known=known)
            module = sys.modules.get(one.__module__)
            if known and module is not None and issubclass(one, nn.Module):
                self._functions_of(module)

    def _member(self, where: str, value: Any, *, known: bool) -> None:
        if isinstance(value, staticmethod | classmethod):
            value = value.__func__
        if isinstance(value, property):
            for part in (value.fget, value.fset):
                self._member(where, part, known=known)
            return
        if (
            isinstance(value, types.FunctionType | types.BuiltinFunctionType)
            or type(value) in _PLAIN
            or (not known and where.rpartition(".")[2] not in _OF_EVERY_CLASS)
        ):
            self._add("member", where.encode())
            self.feed(where, value)

    def _functions_of(self, module: types.ModuleType) -> None:
        if id(module) in self._seen:
            return
        self._seen[id(module)] = (len(self._seen), module)
        for name, value in vars(module).items():
            if isinstance(value, types.FunctionType):
                self._add("function of the module", name.encode())
                self.feed(f"{module.__name__}.{name}", value)

    def _function(self, where: str, function: types.FunctionType) -> None:
        self._add("function", f"{function.__module__}.{function.__qualname__}".encode())
        self._code(function.__code__)
        self._each(f"a default of {where}", "defaults", function.__defaults__ or ())
        self._mapping(f"a default of {where}", function.__kwdefaults__ or {})
        installed = _is_installed(function.__module__)
        for cell in function.__closure__ or ():
            try:
                held = cell.cell_contents
            except ValueError:
                self._add("cell", b"empty")
                continue
            # What a package's own decorators hold came with the package, whose code is read.
            if installed and not isinstance(held, (*_PLAIN, types.FunctionType)):
                self._add("cell", _name(type(held)).encode())
            else:
                self.feed(f"the closure of {where}", held)
        if not installed:
            for name in _names_of(function.__code__):
                if name in function.__globals__:
                    self._add("global", name.encode())
                    self.feed(f"{name}, which {where} uses,", function.__globals__[name])

    def _code(self, code: types.CodeType) -> None:
        self._add("code", code.co_code)
        self._add("names", repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._code(constant)
            else:
                self._add("constant", repr(constant).encode("utf-8", "surrogatepass"))

    def _module(self, where: str, module: types.ModuleType) -> None:
        """What is installed is known by its version; another file could hold anything."""
        if not _is_installed(module.__name__):
            raise NoContentError(
                f"{where} is module {module.__name__}, which is no installed package"
            )
        self._add("module", f"{module.__name__} {_version(module.__name__.split('.')[0])}".encode())


_OF_EVERY_CLASS = frozenset({
    "__dict__", "__weakref__", "__module__", "__doc__", "__annotations__", "__abstractmethods__",
    "_abc_impl", "__slots__", "__parameters__", "__orig_bases__", "__firstlineno__",
    "__static_attributes__", "__match_args__", "__dataclass_fields__", "__dataclass_params__",
})  # fmt: skip


def _saved(path: Path) -> bytes:
    """A file, without what the tokenizer remembers of its last call and sets anew in each."""
    if path.name != "tokenizer.json":
        return path.read_bytes()
    read = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps({**read, "padding": None, "truncation": None}).encode()


def _names_of(code: types.CodeType) -> list[str]:
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return [*code.co_names, *(name for one in inner for name in _names_of(one))]


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


@functools.cache
def _is_installed(module: str) -> bool:
    """Whether a module comes with Python, or with a package that has a version."""
    top = module.split(".")[0]
    return top in sys.stdlib_module_names - {"__main__"} or _version(top) != ""


@functools.cache
def _version(top: str) -> str:
    names = importlib.metadata.packages_distributions().get(top, ())
    return " ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(names)))
