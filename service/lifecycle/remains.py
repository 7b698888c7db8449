"""Records of jobs that are none: forgotten half way, or never accepted because their submit was cut off."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import groupby

import structlog

from service.adapters.storage import Storage, StoredObject, exists
from service.contract import layout
from service.contract.errors import UnknownJob
from service.lifecycle.describe import read_request

log = structlog.get_logger(__name__)

#: Between a request and its marker lie milliseconds; a replay that resumes a submit comes within a day.
RECORDS_MAX_AGE = timedelta(days=1)
MARKER_MAX_AGE = timedelta(hours=1)


def forgotten_records(storage: Storage, *, now: datetime, dry_run: bool) -> Iterator[int]:
    """Delete them; the size of each object that went."""
    by_job = groupby(storage.list(layout.JOBS), key=lambda found: layout.job_of_record(found.key))
    for job_id, listed in by_job:
        records = list(listed)
        is_old = all(record.modified_at < now - RECORDS_MAX_AGE for record in records)
        if is_old and _is_nobodys(storage, job_id, records):
            if not dry_run:
                _delete(storage, job_id, records)
            yield from (record.size_bytes for record in records)


def _is_nobodys(storage: Storage, job_id: str, records: list[StoredObject]) -> bool:
    """Neither ended, nor running, nor in its owner's list: nobody was told of it, or its owner forgot it."""
    if any(record.key == layout.job_outcome(job_id) for record in records):
        return False
    if exists(storage, layout.active(job_id)):
        return False
    try:
        job = read_request(storage, job_id)
    except UnknownJob:
        return True
    return not exists(storage, layout.log_entry(job.owner, job.created_at, job_id))


def _delete(storage: Storage, job_id: str, records: list[StoredObject]) -> None:
    """A replay of the cut-off submit may accept the job at this moment: then its request stays."""
    request = layout.job_request(job_id)
    kept = {record.key: storage.get(record.key) for record in records if record.key == request}
    for record in records:
        storage.delete(record.key)
    if exists(storage, layout.active(job_id)):
        for key, data in kept.items():
            storage.put(key, data)
            log.warning("job_accepted_while_forgotten", job=job_id)
