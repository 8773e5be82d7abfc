"""One writer per folder: a lock that tells who holds it and outlives no process of this machine."""

import contextlib
import json
import os
import platform
import time
from pathlib import Path

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.provenance import created_now

NAME = "run.lock"
UNWRITTEN_SECONDS = 10
"""Age from which a lock without content is that of a process which died while it wrote."""


@contextlib.contextmanager
def locked(folder, tell=lambda text: None):
    """Hold a folder alone.

    Parameters
    ----------
    folder : str or os.PathLike
        Made where missing.
    tell : callable
        Takes one sentence, where the lock of a dead process is taken over.

    Yields
    ------
    pathlib.Path
        The lock.

    Raises
    ------
    UserError
        Another process holds it; the sentence names its number and host.
    """
    path = Path(folder) / NAME
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _create(path)
    except FileExistsError:
        holder = _holder(path)
        if not _is_dead(holder, path):
            raise UserError(_refusal(path, holder)) from None
        _take_over(path, holder)
        tell(f"the lock of process {holder.get('pid', 'unknown')}, which is no more, is taken over ({path})")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _create(path):
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(_myself(), stream)


def _myself():
    pid = os.getpid()
    return {"pid": pid, "host": platform.node(), "born": _born(pid), "since": created_now()}


def _holder(path):
    """What the lock says; empty where it says nothing yet."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}


def _is_dead(holder, path):
    if "pid" not in holder:
        try:
            return time.time() - path.stat().st_mtime > UNWRITTEN_SECONDS
        except FileNotFoundError:
            return False
    if holder.get("host") != platform.node():
        return False  # nobody here can tell
    if not _exists(holder["pid"]):
        return True
    born = _born(holder["pid"])
    return None not in (born, holder.get("born")) and born != holder["born"]  # the number was given to another process


def _exists(pid):
    if os.name == "nt":
        return True  # os.kill would end it
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _born(pid):
    """Start of a process since the machine's, where the system tells it."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _take_over(path, holder):
    """Replace the lock of a dead process; of two that try, one wins."""
    claim = path.with_name(f"{path.name}.claim")
    try:
        _create(claim)
    except FileExistsError:
        raise UserError(_refusal(claim, _holder(claim))) from None
    if _holder(path) != holder:  # another one was quicker
        claim.unlink()
        raise UserError(_refusal(path, _holder(path)))
    os.replace(claim, path)


def _refusal(path, holder):
    who = f"process {holder.get('pid', 'unknown')} on host {holder.get('host', 'unknown')!r}"
    since = f" since {holder['since']}" if "since" in holder else ""
    return (
        f"{str(path.parent)!r} is in use by {who}{since}: wait until it has ended, or delete {str(path)!r} "
        "if it is no more."
    )
