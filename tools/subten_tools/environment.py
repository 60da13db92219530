"""Whether this Python has the packages that the tools were made and tested with."""

import re
import sys
from importlib import metadata

from .protocol import ToolError

OLDEST_PYTHON = (3, 11)
CHECKED = ("onnx", "onnxruntime", "numpy", "sympy")


def pinned(requirements):
    """Name to version, of a requirements file with exact versions."""
    with open(requirements, encoding="utf-8") as lines:
        found = (re.match(r"([A-Za-z0-9_.-]+)==([^\s;\\]+)", line) for line in lines)
        return {match.group(1).lower().replace("_", "-"): match.group(2) for match in found if match}


def check_packages(requirements):
    """Versions by package. Patches may differ from the pinned ones: what is used of a package changes with its minor."""
    here = "%d.%d.%d" % sys.version_info[:3]
    if sys.version_info[:2] < OLDEST_PYTHON:
        wanted = "%d.%d" % OLDEST_PYTHON
        raise ToolError(
            "ENGINE_VERSION",
            "%s is Python %s, and quantising needs %s or newer" % (sys.executable, here, wanted),
            found={"python": here},
            wanted={"python": wanted},
        )
    pins = pinned(requirements)
    found = {name: _version(name) for name in CHECKED}
    wrong = [name for name in CHECKED if _minor(found[name]) != _minor(pins[name])]
    if wrong:
        listed = ", ".join("%s %s (wanted %s)" % (name, found[name] or "missing", pins[name]) for name in wrong)
        raise ToolError(
            "ENGINE_VERSION",
            "the Python of the tools, %s, has %s" % (sys.executable, listed),
            "Install what the tools were tested with: %s -m pip install -r %s" % (sys.executable, requirements),
            found=found,
            wanted={name: pins[name] for name in CHECKED},
        )
    return dict(found, python=here)


def _version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _minor(version):
    return version and version.split(".")[:2]
