"""Settings: `[tool.safecall-lint]` of the nearest pyproject.toml, or a safecall-lint.toml of its own."""

from safecall_lint.settings.load import SettingsError
from safecall_lint.settings.lookup import Lookup
from safecall_lint.settings.model import Profile, Settings, options
from safecall_lint.settings.selection import Selection, select

__all__ = ["Lookup", "Profile", "Selection", "Settings", "SettingsError", "options", "select"]
