"""What encoders behind an API have cost: requests, tokens and money, written down as soon as they are spent."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from nearer.core.errors import BudgetSpent, InputError, WorkspaceError
from nearer.core.failpoints import failpoint
from nearer.core.purse import Purse
from nearer.store.database import Database
from nearer.store.registry import utc_now
from nearer.store.tables import api_usage

_WAIT_S = 5.0
"""A search is not to wait for an import to end only to note its cost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Requests answered, tokens counted, and their price in US dollars; none when part of it is unknown."""

    num_requests: int = 0
    num_tokens: int = 0
    cost_usd: float | None = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        costs = (self.cost_usd, other.cost_usd)
        return Usage(
            num_requests=self.num_requests + other.num_requests,
            num_tokens=self.num_tokens + other.num_tokens,
            cost_usd=None if None in costs else sum(cost or 0.0 for cost in costs),
        )


class Meter:
    """What one opened encoder spends; several threads may write to it.

    It is paid from the ``purse``. Raises InputError for a purse with a limit where the price is unknown.

    What cannot be written down, in a folder that may only be read for example, is still in ``total``, and is written
    with the next request.
    """

    def __init__(
        self,
        database: Database,
        *,
        endpoint: str,
        model: str,
        price_per_million_tokens: float | None,
        purse: Purse | None = None,
        now: Callable[[], str] = utc_now,
    ) -> None:
        self._purse = purse or Purse()
        if self._purse.limit_usd is not None and price_per_million_tokens is None:
            raise InputError(
                f"the price of {model} at {endpoint} is unknown, so no limit of its cost can be kept",
                hint="set encoder.api.price_per_million_tokens, or leave --max-cost out",
            )
        self.total = Usage()
        self.is_recorded = True
        self._database = database
        self._names = {"endpoint": endpoint, "model": model}
        self._price = price_per_million_tokens
        self._now = now
        self._lock = threading.Lock()
        self._usage_id: int | None = None

    @contextmanager
    def request(self, most_tokens: int) -> Iterator[Callable[[int], None]]:
        """Set aside what a request costs at most, and give what takes in how many tokens it was.

        Raises BudgetSpent where that may be more than is left.
        """
        most, before = self._cost(most_tokens) or 0.0, self._purse.spent_usd
        if not self._purse.reserve(most):
            raise BudgetSpent(
                f"services were paid {before:.4g} USD, and going on may cost more than {self._purse.limit_usd:g}",
                hint="repeat the command with a larger --max-cost: what was encoded is kept, and is not paid again",
            )
        paid: list[float] = []

        def answered(num_tokens: int) -> None:
            paid.append(self._cost(num_tokens) or 0.0)
            self.add(num_tokens)

        try:
            yield answered
        finally:
            self._purse.settle(most, paid_usd=sum(paid))

    def _cost(self, num_tokens: int) -> float | None:
        return None if self._price is None else num_tokens * self._price / 1e6

    def add(self, num_tokens: int) -> None:
        """Write down an answered request; the row holds all that this encoder has spent since it was opened."""
        cost = self._cost(num_tokens)
        self._purse.is_known &= cost is not None
        with self._lock:
            self.total += Usage(num_requests=1, num_tokens=num_tokens, cost_usd=cost)
            try:
                self._usage_id = self._write({"at": self._now(), **self._names, **asdict(self.total)})
            except WorkspaceError:  # the answer was paid for: it must not be lost because its cost cannot be noted
                self.is_recorded = False
                return
            self.is_recorded = True
        failpoint("usage.commit")

    def _write(self, row: Mapping[str, object]) -> int:
        """Insert or replace this encoder's row; its id."""
        with self._database.write(wait_s=_WAIT_S) as connection:
            if self._usage_id is not None:
                connection.execute(api_usage.update().where(api_usage.c.usage_id == self._usage_id), row)
                return self._usage_id
            key = connection.execute(api_usage.insert(), row).inserted_primary_key
            assert key is not None
            return int(key[0])
