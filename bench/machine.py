"""What a reader must know about the machine, and nothing that says which machine it is."""

import os
import platform
from pathlib import Path


def facts() -> dict[str, str]:
    """Return kernel, processors, memory, system and Python, as text."""
    return {
        "kernel": f"{platform.system()} {platform.release()}",
        "CPUs": f"{len(os.sched_getaffinity(0))} x {_cpu_model()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GiB",
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def load() -> str:
    """Return the load average of the last one and five minutes."""
    one, five, _ = os.getloadavg()
    return f"{one:.1f}, {five:.1f}"


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
