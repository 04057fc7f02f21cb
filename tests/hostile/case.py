"""A hostile file or folder: how it is written, which verb meets it, and how that must end."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Content = bytes | Callable[[Path], None]

WORKSPACE, MODEL, BEIR = "whole", "whole-model", "whole-beir"
"""The folders that are whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """``verb`` names what was written as {path}; fragments of reason and remedy are what the error must hold.

    ``content`` are its bytes, or what writes it. With ``copy_of`` it begins as a copy of that folder, which is whole.
    ``code`` is the error's; ``line`` that of the first fault, 0 where the error is about no line.
    """

    name: str
    content: Content
    verb: str
    code: str
    reason: str
    remedy: str
    line: int = 0
    exit_code: int = 2
    copy_of: str = ""

    def write(self, folder: Path, *, whole: Path) -> Path:
        """Write it under its name; ``whole`` is where the folders that are whole lie."""
        path = folder / self.name
        if self.copy_of:
            shutil.copytree(whole / self.copy_of, path)
        if isinstance(self.content, bytes):
            path.write_bytes(self.content)
        else:
            self.content(path)
        return path

    def arguments(self, folder: Path, *, whole: Path) -> list[str]:
        """The command line; without --dir the verb is for the workspace that is whole."""
        verb = self.verb if "--dir" in self.verb else f"{self.verb} --dir {{workspace}}"
        return [word.format(path=folder / self.name, workspace=whole / WORKSPACE) for word in verb.split()]

    def expected(self, folder: Path) -> dict[str, Any]:
        """Its line of the manifest."""
        return {
            "name": self.name,
            "verb": self.arguments(folder, whole=folder),
            "exit_code": self.exit_code,
            "code": self.code,
            "line": self.line,
            "reason": self.reason,
            "remedy": self.remedy,
        }
