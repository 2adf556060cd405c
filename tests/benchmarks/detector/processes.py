"""What a process costs: seconds, processor seconds, peak memory; and the most it may take.

Of the standard library alone, as the peers' environments use it too.
"""

import sys
import time
from pathlib import Path


class Clock:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def seconds(self) -> dict[str, float]:
        """Return the seconds of wall time and of processor time (all threads) so far."""
        return {
            "train_s": time.perf_counter() - self._wall,
            "train_cpu_s": time.process_time() - self._processor,
        }


def peak_megabytes() -> float:
    """Return this process's peak resident memory, MB (NaN where the platform does not tell).

    Linux's own count comes first: `getrusage` also counts the process that this one came from.
    """
    status = Path("/proc/self/status")
    if status.exists():
        peaks = [row for row in status.read_text().splitlines() if row.startswith("VmHWM")]
        return int(peaks[0].split()[1]) / 1024
    if sys.platform == "win32":
        return float("nan")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # bytes, on macOS


def limit_memory(megabytes: int) -> None:
    """Hold this process to so much address space, as `ulimit -v` does, where the platform can.

    A lower limit that it has already stays.
    """
    if sys.platform == "win32":
        return
    import resource

    limit, had = megabytes * 1024**2, resource.getrlimit(resource.RLIMIT_AS)[1]
    if had == resource.RLIM_INFINITY or limit < had:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
