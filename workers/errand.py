"""Work that a worker does for a whole job or for the fleet, renewed by the clock like a lease on a shard."""

import time

from service.adapters.ledger import Ledger
from service.lifecycle.repair import sent

#: Tries are forgotten after this: what killed workers last week may be mended.
_REMEMBERED_S = 86_400.0


class Errand:
    """A turn that this worker holds while it works; a second one comes from the sweep when it is let go."""

    def __init__(self, ledger: Ledger, name: str, *, heartbeat_s: float) -> None:
        self._ledger, self._name, self._heartbeat_s = ledger, name, heartbeat_s
        self.seen_at = self._renewed_at = time.monotonic()
        self.tries = 0

    def begin(self) -> bool:
        """Whether nobody else works on it now. Counts the try."""
        if not self._ledger.turns.take(self._name, for_s=self._ledger.lease_s):
            return False
        self.renew()
        self.tries = self._ledger.turns.tries(self._name, remembered_s=_REMEMBERED_S)
        return True

    @property
    def is_hopeless(self) -> bool:
        """An errand that kills its workers must end too."""
        return self.tries > self._ledger.max_attempts

    def keep(self) -> None:
        """Renew when it is time."""
        self.look_up()
        if self.seen_at - self._renewed_at >= self._heartbeat_s:
            self.renew()

    def look_up(self) -> None:
        """Show that the work moves; for work that needs no turn."""
        self.seen_at = time.monotonic()

    def renew(self) -> None:
        lease_s = self._ledger.lease_s
        self._ledger.turns.keep(self._name, for_s=lease_s)
        # Nor is another message sent meanwhile, and the first one that is finds the turn free.
        self._ledger.turns.keep(sent(self._name), for_s=1.5 * lease_s)
        self._renewed_at = time.monotonic()

    def forget_tries(self) -> None:
        """It has ended well, or the cause lay elsewhere."""
        self._ledger.turns.forget_tries(self._name)

    def end(self) -> None:
        """Let the next one begin at once."""
        self._ledger.turns.end(self._name)
        self._ledger.turns.end(sent(self._name))
