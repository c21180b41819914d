"""Programs that people take away as one file, loaded as they are: they are no part of any package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType


def loaded(path: Path) -> ModuleType:
    """The program in `path`, as a module of its own."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses ask where they are from
    spec.loader.exec_module(module)
    return module
