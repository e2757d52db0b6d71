from __future__ import annotations

import asyncio
import os
import threading

from providers import loop


async def where() -> tuple[int, int]:
    await asyncio.sleep(0)
    return os.getpid(), threading.get_ident()


def test_every_coroutine_of_a_process_runs_in_one_thread_of_its_own() -> None:
    first = loop.submit(where()).result(5)
    second = loop.submit(where()).result(5)

    assert first == second
    assert first != (os.getpid(), threading.get_ident())


def test_a_loop_that_was_stopped_is_replaced() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    unfinished = loop.submit(forever())
    loop.stop()

    assert unfinished.cancelled()
    assert loop.submit(where()).result(5)[0] == os.getpid()


def test_a_forked_child_makes_its_own_loop() -> None:
    loop.submit(where()).result(5)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, str(loop.submit(where()).result(5)[0]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        assert pipe.read() == str(child)
    os.waitpid(child, 0)
