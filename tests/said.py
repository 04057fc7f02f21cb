"""Progress that keeps what was said."""

from nearer.core.progress import Silent


class Said(Silent):
    """All lines, in their order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)
