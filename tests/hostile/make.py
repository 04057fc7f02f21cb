"""Write the hostile files, and a manifest of how each must be refused: python tests/hostile/make.py FOLDER."""

import json
import os
import sys
from collections import Counter
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from hostile import files, folders, models, parquets, recipes, workspaces

CASES = [each for module in (files, parquets, folders, recipes, models, workspaces) for each in module.CASES]

MANIFEST = "manifest.json"


def write_all(folder: Path) -> None:
    """Every hostile file below ``folder``, what they are given to, and ``manifest.json``."""
    from hostile.whole import write_whole

    folder.mkdir(parents=True)
    write_whole(folder)
    for case in CASES:
        case.write(folder, whole=folder)
    expected = [case.expected(folder) for case in CASES]
    (folder / MANIFEST).write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Write them and say how many there are."""
    if len(arguments) != 1 or Path(arguments[0]).exists():
        sys.exit("usage: python tests/hostile/make.py FOLDER (which is made)")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    folder = Path(arguments[0]).resolve()
    write_all(folder)
    counts = Counter(case.name.split("-")[0] for case in CASES)
    print(f"{len(CASES)} in {folder}:", ", ".join(f"{count} {kind}" for kind, count in counts.items()))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
