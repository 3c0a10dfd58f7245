"""Which files a run is about: the same on a worker, on the xdist controller, and without xdist.

The controller collects nothing itself; it learns from its workers what they found. It alone records
and writes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from lvlm_audit.spec.files import check_files, is_check_file


def files_of_ids(config: pytest.Config, ids: Iterable[str]) -> set[Path]:
    """Check files that collected node ids come from."""
    names = {i.split("::")[0] for i in ids}
    # The name is looked at first: a run of thousands of other tests opens no file here.
    paths = (config.rootpath / n for n in names if n.rpartition("/")[2].startswith("check_"))
    return {p for p in paths if is_check_file(p)}


def asked_for(config: pytest.Config) -> tuple[set[Path], set[Path]]:
    """Check files, and folders of check files, that the command line names.

    They belong to the family even if `-k` leaves none of their checks.
    """
    files, folders = set(), set()
    for argument in config.args:
        path = (config.invocation_params.dir / argument.split("::")[0]).resolve()
        if path.is_dir():
            if check_files(path):
                folders.add(path)
        elif is_check_file(path):
            files.add(path)
    return files, folders
