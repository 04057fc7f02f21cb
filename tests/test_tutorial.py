"""The tutorials work: their files are written and their commands run in order, with a tiny model for the base."""

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("tutorial.md", "first-month.md", "documents-alone.md")
"""The second goes on in the workspace of the first, the third beside it."""
VERDICTS = {"nearer promote": (0, 2, 3), "nearer cycle": (0, 3)}
"""The gate may refuse; and so small a model may have learned nothing, so that there is none to promote."""


def blocks():
    """``(language, content)`` of each fenced block, in order."""
    text = "".join((DOCS / page).read_text(encoding="utf-8") for page in PAGES)
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def run(command, monkeypatch):
    from nearer.cli import main

    program, *arguments = shlex.split(command)
    if program == "cd":
        monkeypatch.chdir(arguments[0])
        return 0
    if program == "python":
        monkeypatch.setattr("sys.argv", arguments)
        runpy.run_path(arguments[0])
        return 0
    assert program == "nearer"
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


@pytest.mark.slow
def test_every_command_of_the_tutorials_works(tmp_path, monkeypatch, capsys, tiny_model_folder):
    monkeypatch.chdir(tmp_path)
    num_commands = 0
    for language, content in blocks():
        if language == "python":
            name = content.splitlines()[0].removeprefix("# ")
            Path(name).write_text(
                re.sub(r"MODULES = \[.*?\]", 'MODULES = ["shutil", "random", "statistics"]', content, flags=re.DOTALL)
            )
        elif language == "toml" and content.startswith("# plan.toml"):
            Path("plan.toml").write_text(content, encoding="utf-8")
        elif language == "toml":
            tiny = {"[encoder]": f"model = {json.dumps(str(tiny_model_folder))}", "[train]": "learning_rate = 1e-3"}
            for section, line in tiny.items():
                content = content.replace(section, f"{section}\n{line}")
            with Path("nearer.toml").open("a", encoding="utf-8") as recipe:
                recipe.write(content)
        elif language == "console":
            for line in content.splitlines():
                assert line.startswith("$ ")
                command = line.removeprefix("$ ")
                code = run(command, monkeypatch)
                assert code in VERDICTS.get(command, (0,)), (command, capsys.readouterr())
                num_commands += 1
    assert num_commands > 45
    assert list(Path("../shop/.nearer/reports").glob("*.html"))
