"""The tutorial works: its files are written and its commands run in order, with a tiny model in place of the base."""

import json
import re
import runpy
import shlex
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parent.parent / "docs/tutorial.md"
VERDICTS = {"nearer promote": (0, 2, 3)}
"""The gate may refuse; and so small a model may have learned nothing, so that there is none to promote."""


def blocks():
    """``(language, content)`` of each fenced block, in order."""
    return re.findall(r"^```(\w+)\n(.*?)^```$", TUTORIAL.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def run(command, monkeypatch):
    from nearer.cli import main

    program, *arguments = shlex.split(command)
    if program == "cd":
        monkeypatch.chdir(arguments[0])
        return 0
    if program == "python":
        runpy.run_path(arguments[0])
        return 0
    assert program == "nearer"
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return caught.value.code


@pytest.mark.slow
def test_every_command_of_the_tutorial_works(tmp_path, monkeypatch, capsys, tiny_model_folder):
    monkeypatch.chdir(tmp_path)
    num_commands = 0
    for language, content in blocks():
        if language == "python":
            name = content.splitlines()[0].removeprefix("# ")
            Path(name).write_text(
                re.sub(r"MODULES = \[.*?\]", 'MODULES = ["shutil", "random", "statistics"]', content, flags=re.DOTALL)
            )
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
    assert num_commands > 15
    assert list(Path(".nearer/reports").glob("*.html"))
