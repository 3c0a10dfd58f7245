"""Every task that a person runs. Each session installs what it needs; `nox -l` lists them."""

from __future__ import annotations

from pathlib import Path

import nox

nox.options.sessions = ["lint", "types", "tests"]
nox.options.reuse_existing_virtualenvs = True
nox.needs_version = ">=2024.4"

CONSTRAINTS = Path(__file__).parent / "constraints.txt"


def install(session: nox.Session, *requirements: str) -> None:
    """Install under the versions that this project is tested with."""
    session.install("--constraint", str(CONSTRAINTS), *requirements)


def package(session: nox.Session, *groups: str) -> None:
    """The project itself, editable, with some of its dependency groups."""
    install(session, "--editable", ".[demo]", *nox.project.dependency_groups(PYPROJECT, *groups))


PYPROJECT = nox.project.load_toml("pyproject.toml")


@nox.session
def audit(session: nox.Session) -> None:
    """Audit the demo model; `nox -s audit -- --lvlm-model MODEL ...` audits another."""
    package(session)
    arguments = session.posargs
    if not any(a.startswith("--lvlm-model") for a in arguments):
        session.run("lvlm-audit", "demo")
    defaults = {"--lvlm-report": "reports/audit.html", "--lvlm-json": "reports/audit.json"}
    for option, value in defaults.items():
        if not any(a.startswith(option) for a in arguments):
            arguments = [*arguments, option, value]
    session.run("pytest", "checks/", *arguments)


# Tiny models gain nothing from threads, and threads of several workers hinder each other.
WORKERS = ("-n", "logical", "--maxprocesses", "4")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


@nox.session
def tests(session: nox.Session) -> None:
    """The test suite."""
    package(session, "test", "docs")
    session.run("pytest", "tests/", *WORKERS, *session.posargs, env=ONE_THREAD)


@nox.session
def explore(session: nox.Session) -> None:
    """Every property test with 20 times the examples and fresh seeds (half an hour on two cores)."""
    package(session, "test", "docs")
    which = ("-m", "hypothesis", "--hypothesis-profile", "explore")
    # Without a folder among the arguments pytest takes all of tests/.
    session.run("pytest", *which, *WORKERS, *session.posargs, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    install(session, *nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports", "--no-cache")


@nox.session
def types(session: nox.Session) -> None:
    """Static types, strict."""
    package(session, "types")
    session.run("mypy")


@nox.session
def bench(session: nox.Session) -> None:
    """Speed and memory, as ratios within one run."""
    package(session)
    session.run("lvlm-audit", "demo")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Audit the demo model and write docs/replication.md with its figures."""
    package(session, "docs")
    session.run("lvlm-audit", "demo")
    session.run("python", "-m", "benchmarks.replication", *session.posargs)


@nox.session(name="demo-model")
def demo_model(session: nox.Session) -> None:
    """Train the demo model's adapter again (about an hour on two cores)."""
    package(session)
    session.run("python", "-m", "lvlm_audit.demo.training", *session.posargs)


@nox.session
def controls(session: nox.Session) -> None:
    """Break the demo model on purpose and see which check notices; writes docs/controls.md."""
    package(session)
    session.run("lvlm-audit", "demo")
    session.run("python", "-m", "benchmarks.controls", *session.posargs)


@nox.session
def power(session: nox.Session) -> None:
    """The gate on damaged and on healthy models; writes docs/power.md. `-- label` measures the labels first."""
    install(session, "--editable", ".[demo,peft,torchao]")
    session.run("lvlm-audit", "demo")
    session.run("python", "-m", "benchmarks.power", *(session.posargs or ["table"]))


@nox.session
def hallucination(session: nox.Session) -> None:
    """See how well signals find the demo model's wrong words; and what corrects them; half an hour each."""
    package(session)
    session.run("lvlm-audit", "demo")
    session.run("python", "-m", "benchmarks.hallucination", *session.posargs)
    session.run("python", "-m", "benchmarks.corrections")


@nox.session
def families(session: nox.Session) -> None:
    """Open a tiny model of every family that transformers knows; writes docs/families.md."""
    package(session)
    session.run("python", "-m", "tests.families.matrix")


@nox.session
def mutants(session: nox.Session) -> None:
    """Put known mistakes into a copy of the code and see the named tests turn red."""
    package(session, "test")
    session.run("python", "-m", "benchmarks.mutants")


@nox.session
def build(session: nox.Session) -> None:
    """Build wheel and sdist, install each into an empty environment and use it."""
    install(session, "build", "hatchling")
    folder = Path(session.create_tmp()).resolve()
    session.run("python", "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), ".")
    clean = folder / "clean"
    session.run("python", "-m", "venv", "--clear", str(clean))
    python = str(clean / "bin" / "python")
    wheel = next((folder / "dist").glob("*.whl"))
    sdist = next((folder / "dist").glob("*.tar.gz"))
    pip = (python, "-m", "pip", "install", "--quiet", "--constraint", str(CONSTRAINTS))
    # The dependencies are the same for both, so they are installed once.
    for arguments in ((str(wheel),), ("--no-deps", "--force-reinstall", str(sdist))):
        session.run(*pip, *arguments, external=True)
        with session.chdir(folder):
            command = (python, "-m", "lvlm_audit.cli")
            session.run(*command, "--version", external=True)
            session.run(*command, "run", "--collect-only", "-q", external=True)
