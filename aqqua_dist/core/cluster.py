"""The same work on the workers of a Dask cluster."""

import pickle
import tempfile
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from aqqua_dist.core.errors import UserError


@contextmanager
def submitter(scheduler, folder):
    """Way to send groups of objects to a cluster.

    Parameters
    ----------
    scheduler : str
        Address of a running scheduler, as ``tcp://host:8786``, or
        ``local:N`` for N worker processes on this machine.
    folder : str or os.PathLike
        What all groups share is kept in a file there for the time of the
        work; all workers must see it, and the objects, under the same path.

    Yields
    ------
    callable
        ``submit(function, groups, shared)`` gives pairs of place and result
        as they are ready. What a lost worker has not finished is done again
        by another one.

    Raises
    ------
    UserError
        ``dask.distributed`` is not installed, the address is none, or the
        scheduler does not answer.
    """
    distributed = _distributed(scheduler)
    local = None
    if scheduler.startswith("local:"):
        number = scheduler.removeprefix("local:")
        if not number.isdigit() or int(number) < 1:
            raise UserError(
                f"scheduler {scheduler!r} is neither an address, as tcp://host:8786, nor local:N with N at least 1."
            )
        local = distributed.LocalCluster(n_workers=int(number), threads_per_worker=1, dashboard_address=None)
    try:
        try:
            client = distributed.Client(local or scheduler, timeout="10s")
        except (OSError, ValueError, TimeoutError) as error:
            raise UserError(f"scheduler {scheduler!r} does not answer ({str(error).splitlines()[0]}).") from None
        with client:
            yield lambda function, groups, shared: _submitted(client, distributed, function, groups, shared, folder)
    finally:
        if local is not None:
            local.close()


def _distributed(scheduler):
    try:
        import distributed  # noqa: PLC0415  optional: pip install aqqua-dist[dask]
    except ImportError:
        raise UserError(
            f"scheduler {scheduler!r} needs dask.distributed; install it with pip install 'aqqua-dist[dask]'."
        ) from None
    return distributed


def _submitted(client, distributed, function, groups, shared, folder):
    """Pairs of place and result; at most four groups per worker are under way, so that results do not pile up."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".shared.", suffix=".pickle") as stream:
        pickle.dump(shared, stream)
        stream.flush()
        waiting, places = list(enumerate(groups))[::-1], {}

        def send():
            place, group = waiting.pop()
            future = client.submit(_unpacked, function, group, str(Path(stream.name).absolute()), pure=False)
            places[future.key] = place
            return future

        width = 4 * max(1, len(client.scheduler_info()["workers"]))
        queue = distributed.as_completed([send() for _ in range(min(width, len(waiting)))])
        for future in queue:
            result = future.result()
            if waiting:
                queue.add(send())
            yield places.pop(future.key), result
            future.release()


def _unpacked(function, group, path):
    return function(group, *_shared(path))


@lru_cache(maxsize=1)
def _shared(path):
    return pickle.loads(Path(path).read_bytes())
