"""Work on many events at once, with results in the order in which the events came."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Generic, Self, TypeVar

Result = TypeVar("Result")


class Pipeline(Generic[Result]):
    """A bounded number of tasks on threads; kernels release the GIL, so threads are enough.

    :param workers: threads.
    :param depth: tasks that may be under way or waiting for their turn in the results.

    >>> with Pipeline[int](workers=2, depth=4) as pipeline:
    ...     for number in range(3):
    ...         pipeline.submit(lambda n=number: n * n)
    ...     list(pipeline.rest())
    [0, 1, 4]
    """

    def __init__(self, workers: int, depth: int | None = None) -> None:
        self.workers = workers
        self.depth = depth or 2 * workers + 2
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="analyze")
        self._tasks: deque[Future[Result]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def has_room(self) -> bool:
        """Tell whether `submit` is allowed."""
        return len(self._tasks) < self.depth

    def submit(self, task: Callable[[], Result]) -> None:
        """Start a task. Look at `has_room` first."""
        if not self.has_room:
            raise RuntimeError(f"{len(self._tasks)} tasks are under way, {self.depth} allowed")
        self._tasks.append(self._pool.submit(task))

    def ready(self) -> Iterator[Result]:
        """Yield the results that are there, in order; never waits."""
        while self._tasks and self._tasks[0].done():
            yield self._tasks.popleft().result()

    def rest(self) -> Iterator[Result]:
        """Yield the results of all tasks, in order, waiting for them."""
        while self._tasks:
            yield self._tasks.popleft().result()

    def make_room(self) -> Iterator[Result]:
        """Yield results until there is room for a task, waiting if need be."""
        while not self.has_room:
            yield self._tasks.popleft().result()
        yield from self.ready()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the next result in order is there; tell whether it is."""
        if not self._tasks:
            return False
        return bool(wait([self._tasks[0]], timeout_s, FIRST_COMPLETED).done)

    def close(self) -> None:
        """Forget tasks that have not begun, and end the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._tasks.clear()
