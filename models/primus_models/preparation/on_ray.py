"""The same work on a Ray cluster: each take and each block of embeddings is a task; the files are written here.

The nodes need primus-imu with the same extras and see the data set, and towers given as folders, under the same paths.
Results come back as bytes, so the output folder need not be shared. Towers run in one thread on every machine: the
bytes are those of a run without Ray, on processors of the same kind.
"""

from __future__ import annotations

import importlib
import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, TypeVar

from primus_models.errors import PreparedError
from primus_models.towers.loading import short
from primus_sdk.errors import RuntimeUnavailableError

T = TypeVar("T")
R = TypeVar("R")

HERE = "local"
_AHEAD = 2
"""Tasks given out for each processor: one at work, one ready; more would only fill the memory with results."""
_CONNECT_S = 10.0


class OnRay:
    """A mapper on a Ray cluster, connected to for as long as the `with` block lasts."""

    def __init__(self, address: str) -> None:
        """Connect; nothing is reported to Ray's makers.

        address: `auto`, `host:port`, `ray://host:port`, or `local` for all cores of this machine.

        Raises:
            RuntimeUnavailableError: Ray is not installed. PreparedError: there is no cluster.
        """
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise RuntimeUnavailableError(
                f"--ray needs {error.name or 'ray'}, which is not installed: pip install 'primus-imu[ray]'"
            ) from error
        _check(address)
        settings: dict[str, Any] = {"address": address}
        if address == HERE:
            settings["include_dashboard"] = False
        try:
            self._ray.init(
                **settings, log_to_driver=False, logging_level=logging.ERROR, configure_logging=True, namespace="primus"
            )
        except Exception as error:  # whatever the library raises where no cluster answers
            raise PreparedError(
                f"there is no Ray cluster at {address!r} ({short(error)}); expected auto, host:port or {HERE}"
            ) from error

    def __enter__(self) -> OnRay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ray.shutdown()

    def map(self, function: Callable[[T], R], items: Sequence[T], gpus: float = 0) -> Iterator[tuple[int, R]]:
        """See `Mapper.map`. A task of a node that is lost is done again on another.

        Raises:
            PreparedError: the cluster fails, or has no processor of the kind.
        """
        ray = self._ray
        try:
            resources = ray.cluster_resources()
            slots = int(
                min(resources.get("CPU", 0), resources.get("GPU", 0) / gpus if gpus else resources.get("CPU", 0))
            )
            if slots < 1:
                raise PreparedError("the Ray cluster has no free processor of the kind that is needed")
            shared = ray.put(function)
            task = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=3)(_call)
            waiting: dict[Any, int] = {}
            left = iter(enumerate(items))
            while True:
                for place, item in left:
                    waiting[task.remote(shared, item)] = place
                    if len(waiting) >= slots * _AHEAD:
                        break
                if not waiting:
                    return
                (done, *_), _ = ray.wait(list(waiting), num_returns=1)
                yield waiting.pop(done), ray.get(done)
        except ray.exceptions.RayError as error:
            raise PreparedError(
                f"the Ray cluster failed ({short(error)}); what is prepared so far stays: run the same command again"
            ) from error


def _call(function: Callable[[T], R], item: T) -> R:
    """What a task does."""
    return function(item)


def _check(address: str) -> None:
    """Look whether anybody listens: Ray itself would wait for minutes, or end the process.

    Raises:
        PreparedError: nobody does, or it is no address.
    """
    if address in ("auto", HERE):
        return
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536):
        raise PreparedError(f"{address!r} is no address of a Ray cluster; expected auto, host:port or {HERE}")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except OSError as error:
        raise PreparedError(f"nothing answers at {address} ({error}); is the Ray cluster up?") from error
