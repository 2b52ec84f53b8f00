"""Runs several coroutines at once, and raises one error of theirs, not a group."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, NoReturn, TypeVar

from headway.errors import HeadwayError

T = TypeVar("T")


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all of `works` at once and return their results, in their order; one that fails cancels the others.

    Raises:
        HeadwayError: The first error; the others are notes on it.
    """
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except BaseExceptionGroup as errors:
        # Not except*: before Python 3.11.4 it wraps what is raised inside into a group again.
        raise_one(errors)
    return [task.result() for task in tasks]


def raise_one(errors: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raise the first error of a group, with the others as notes; if one of them is a bug, raise the group itself.

    The error keeps its ``__cause__``, which the advice to the user depends on.
    """
    ours, others = errors.split(HeadwayError)
    error = _first(ours) if ours is not None and others is None else errors
    raise error from error.__cause__


def _first(errors: BaseExceptionGroup[HeadwayError]) -> HeadwayError:
    leaves: list[HeadwayError] = []
    pending: list[BaseException] = [errors]
    while pending:
        error = pending.pop()
        if isinstance(error, BaseExceptionGroup):
            pending.extend(reversed(error.exceptions))
        elif isinstance(error, HeadwayError):
            leaves.append(error)
    for other in leaves[1:]:
        if str(other) != str(leaves[0]):
            leaves[0].add_note(f"also: {other}")
    return leaves[0]
