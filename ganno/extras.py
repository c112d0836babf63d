"""What a package needs beyond NumPy, and how to get it."""

from __future__ import annotations

import importlib.util


def require(extra: str, *modules: str) -> None:
    """Refuses to go on without modules that an extra of this distribution brings.

    Args:
        extra: its name.
        modules: names to look for; none is imported.

    Raises:
        ModuleNotFoundError: with the command that installs what is missing.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"not installed: {', '.join(missing)}; for all that is needed: "
            f"pip install 'ganno[{extra}]'",
            name=missing[0],
        )
