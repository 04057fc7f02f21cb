"""Money that services may be paid: the most that a question can cost is set aside before it is asked."""

from threading import Condition

from nearer.core.errors import InputError

OVERHEAD_TOKENS = 64
"""Of a request beside its texts: the marks that a chat's template puts around them."""


class Purse:
    """US dollars, at most ``limit_usd``; without a limit what is paid is only counted. Many threads may draw from it.

    ``is_known`` is false once something was asked for whose price nobody knows.
    Raises InputError for a limit below 0.
    """

    def __init__(self, limit_usd: float | None = None) -> None:
        if limit_usd is not None and not limit_usd >= 0:
            raise InputError(f"--max-cost {limit_usd}: US dollars, 0 or more", hint="for example: --max-cost 5")
        self.limit_usd = limit_usd
        self.spent_usd, self.is_known = 0.0, True
        self._set_aside, self._num_open, self._is_empty = 0.0, 0, False
        self._changed = Condition()

    def reserve(self, most_usd: float) -> bool:
        """Set aside what something costs at most, or say that there is too little left: then for good.

        What others have set aside and may not need is waited for.
        """
        with self._changed:
            while not self._is_empty and self._is_too_much(most_usd):
                if self._num_open:
                    self._changed.wait()
                else:
                    self._is_empty = True
            if not self._is_empty:
                self._set_aside += most_usd
                self._num_open += 1
            self._changed.notify_all()
            return not self._is_empty

    def settle(self, most_usd: float, *, paid_usd: float) -> None:
        """Say what that did cost."""
        with self._changed:
            self._set_aside -= most_usd
            self._num_open -= 1
            self.spent_usd += paid_usd
            self._changed.notify_all()

    def _is_too_much(self, most_usd: float) -> bool:
        return self.limit_usd is not None and self.spent_usd + self._set_aside + most_usd > self.limit_usd * (1 + 1e-9)


def most_tokens(*texts: str) -> int:
    """More tokens than a service can count in texts: one a byte, for no tokenizer's tokens are shorter.

    >>> most_tokens("Alo\u0301")
    69
    """
    return sum(len(text.encode(errors="surrogatepass")) for text in texts) + OVERHEAD_TOKENS
