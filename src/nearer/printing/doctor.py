"""What is installed, missing and misconfigured."""

from collections.abc import Iterator

from nearer.core.results.doctor import Checkup, Package


def checked_up(result: Checkup) -> str:
    """The result of `nearer doctor`."""
    lines = [f"nearer {result.version}, Python {result.python}, {result.platform}"]
    for each in result.findings:
        lines.append(f"{each.level:5} {each.what}: {each.sentence}")
        if each.command:
            lines.append(f"      -> {each.command}")
    return "\n".join([*lines, *_extras(result.packages), f"verdict: {result.verdict}"])


def _extras(packages: tuple[Package, ...]) -> Iterator[str]:
    """A line an extra: what it has, or the command that installs it."""
    for extra in dict.fromkeys(each.extra for each in packages if each.extra):
        its = [each for each in packages if each.extra == extra]
        missing = [each for each in its if not each.fits]
        if missing:
            names = ", ".join(f"{each.name} {each.installed or 'missing'}, wanted {each.wanted}" for each in missing)
            yield f"extra {extra}: not installed ({names})\n      -> {missing[0].command}"
        else:
            yield f"extra {extra}: {', '.join(f'{each.name} {each.installed}' for each in its)}"
