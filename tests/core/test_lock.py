"""One writer per folder."""

import json
import os
import platform
import subprocess
import sys
import threading
import time

import pytest

from aqqua_dist.core.errors import UserError
from aqqua_dist.core.lock import NAME, locked


def dead_process():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_second_is_refused_with_process_and_host_of_the_first(tmp_path):
    with locked(tmp_path):
        with pytest.raises(UserError) as error, locked(tmp_path):
            raise AssertionError("two hold one lock")
        assert f"process {os.getpid()} on host {platform.node()!r}" in str(error.value)
        assert str(error.value).count("\n") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_given_back_where_the_work_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        1 / 0  # noqa: B018
    with locked(tmp_path):
        pass


def test_the_lock_of_a_dead_process_is_taken_over_and_said(tmp_path):
    pid, told = dead_process(), []
    (tmp_path / NAME).write_text(json.dumps({"pid": pid, "host": platform.node(), "born": 1}))
    with locked(tmp_path, told.append):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    assert len(told) == 1 and f"process {pid}" in told[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="the system does not tell when a process began")
def test_a_number_that_was_given_to_another_process_is_no_holder(tmp_path):
    (tmp_path / NAME).write_text(json.dumps({"pid": os.getpid(), "host": platform.node(), "born": 1}))
    with locked(tmp_path):
        pass


def test_a_lock_of_another_host_is_never_taken_over(tmp_path):
    (tmp_path / NAME).write_text(json.dumps({"pid": dead_process(), "host": "elsewhere", "born": 1}))
    with pytest.raises(UserError, match="on host 'elsewhere'.*delete"), locked(tmp_path):
        raise AssertionError("taken over from another host")
    assert (tmp_path / NAME).exists()


def test_an_empty_lock_counts_until_it_is_old(tmp_path):
    (tmp_path / NAME).write_text("")
    with pytest.raises(UserError, match="process unknown"), locked(tmp_path):
        raise AssertionError("taken over while it was written")
    os.utime(tmp_path / NAME, (time.time() - 60,) * 2)
    with locked(tmp_path):
        pass


def test_of_many_that_take_over_one_wins(tmp_path):
    (tmp_path / NAME).write_text(json.dumps({"pid": dead_process(), "host": platform.node(), "born": 1}))
    held, most, refused = [], [], []
    ready = threading.Barrier(8)

    def try_it():
        ready.wait()
        try:
            with locked(tmp_path):
                held.append(1)
                most.append(len(held))
                time.sleep(0.2)
                held.pop()
        except UserError as error:
            refused.append(error)

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1} and len(most) + len(refused) == 8
