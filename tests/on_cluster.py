"""Ray clusters on this machine, as many nodes as are asked for, and ways to hurt their workers."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

TEXTS = [f"{word} of the {word} {number}" for number in range(9) for word in ("music", "water " * 70, "law", "church")]
TEXTS += TEXTS[:3]


@contextmanager
def clusters(num_nodes: int, *, num_cpus: int = 2, **settings: Any) -> Iterator[Any]:
    """A cluster that verbs and functions of this process find; ``settings`` are Ray's own."""
    import ray
    from ray.cluster_utils import Cluster

    import on_cluster

    ray.cloudpickle.register_pickle_by_value(on_cluster)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("HF_HUB_OFFLINE", "1")
        head = {"num_cpus": num_cpus, "include_dashboard": False, "_system_config": settings or None}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for _ in range(num_nodes - 1):
                cluster.add_node(num_cpus=num_cpus)
            patch.setenv("RAY_ADDRESS", cluster.address)
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()


def workers(cluster: Any) -> list[int]:
    """The processes that encode now on any node."""
    raylets = {each.process.pid for node in cluster.list_all_nodes() for each in node.all_processes["raylet"]}
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, parent = (
                (folder / "cmdline").read_text(),
                int((folder / "stat").read_text().rpartition(")")[2].split()[1]),
            )
        except OSError:
            continue
        if parent in raylets and name.startswith("ray::MapWorker"):
            found.append(int(folder.name))
    return found


def kill_a_worker(cluster: Any) -> None:
    """Kill one that encodes."""
    os.kill(workers(cluster)[0], signal.SIGKILL)


class Dies:
    """A worker that dies of every block."""

    def __init__(self, **_: Any) -> None:
        pass

    def __call__(self, batch: Any) -> Any:
        """As the system does when memory runs out."""
        os.kill(os.getpid(), signal.SIGKILL)
