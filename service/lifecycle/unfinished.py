"""Which shards the jobs that have not ended may want: nobody else's business but expiry's."""

from concurrent.futures import ThreadPoolExecutor

from service.adapters.storage import Storage
from service.contract import layout
from service.contract.errors import UnknownJob
from service.contract.request import ResolvedRequest
from service.lifecycle.describe import read_request

#: Requests read at once.
_AT_ONCE = 16


class Unfinished:
    """The jobs that `active/` marks, as of the last look; each request is read once."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._jobs: dict[str, tuple[str, int]] = {}
        self._reach: dict[str, int] = {}

    def look(self) -> None:
        """Learn which jobs came and went. Memory grows with the jobs that have not ended."""
        listed = [m.key.removeprefix(layout.ACTIVE) for m in self._storage.list(layout.ACTIVE)]
        new = [job_id for job_id in listed if job_id not in self._jobs]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="unfinished") as pool:
            read = dict(zip(new, pool.map(self._recipe_and_count, new), strict=True))
        self._jobs = {job_id: self._jobs.get(job_id) or read[job_id] for job_id in listed}
        self._reach = {}
        for recipe, count in self._jobs.values():
            self._reach[recipe] = max(count, self._reach.get(recipe, 0))

    def wants(self, recipe: str, stop: int) -> bool:
        """Whether a job may want the shard that ends before sample `stop`."""
        return self._reach.get(recipe, 0) >= stop

    def _recipe_and_count(self, job_id: str) -> tuple[str, int]:
        try:
            request: ResolvedRequest | None = read_request(self._storage, job_id).resolved
        except UnknownJob:
            request = None
        return ("", 0) if request is None else (request.recipe.digest, request.count)
