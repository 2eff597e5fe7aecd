"""Energy that this process's GPUs have used, from the counters the devices keep themselves (NVML).

A device counts everything it draws, whoever makes it work: of a GPU that several jobs share, each job is given all of
it. What a GPU drew before the meter was made (the start of the interpreter) is missed, what the host draws is not in
it, and the counters step every few tens of milliseconds. Devices older than Volta keep no counter.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping

MILLIJOULES_PER_WH = 3_600_000
_DRIVER = ("/proc/driver/nvidia/version", "/dev/nvidiactl")


class EnergyMeter:
    """Watt-hours that GPUs have used since the meter was made.

    ``read`` gives each device's total so far, ``{uuid: millijoules}``; a device without a counter is not in it.
    """

    def __init__(self, read: Callable[[], Mapping[str, int]]) -> None:
        self._read = read
        self._start = read()

    def used_wh(self, devices: Iterable[str]) -> float | None:
        """Watt-hours of the devices named by uuid; None where there are none, or one had no counter then or has now."""
        names = [name.removeprefix("GPU-") for name in devices]
        now = self._read()
        if not names or any(name not in self._start or name not in now for name in names):
            return None
        spent = [now[name] - self._start[name] for name in names]
        # A driver that was loaded again has begun from 0.
        return None if min(spent) < 0 else sum(spent) / MILLIJOULES_PER_WH


def start_meter() -> EnergyMeter:
    """A meter over all devices of this machine; where there is no NVIDIA driver nothing is loaded and none is read.

    All devices, since which of them the process will use is known only once it has: ``CUDA_VISIBLE_DEVICES`` and
    ``CUDA_DEVICE_ORDER`` number them otherwise than NVML does.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return EnergyMeter(dict if hidden or not any(map(os.path.exists, _DRIVER)) else _read_counters)


def _read_counters() -> dict[str, int]:
    """Counter of every device in millijoules by uuid (without "GPU-"); what NVML does not give is left out."""
    counters: dict[str, int] = {}
    try:
        import pynvml
    except ImportError:
        return counters
    with contextlib.suppress(pynvml.NVMLError):
        pynvml.nvmlInit()
        for index in range(pynvml.nvmlDeviceGetCount()):
            with contextlib.suppress(pynvml.NVMLError):
                device = pynvml.nvmlDeviceGetHandleByIndex(index)
                name = pynvml.nvmlDeviceGetUUID(device).removeprefix("GPU-")
                counters[name] = pynvml.nvmlDeviceGetTotalEnergyConsumption(device)
    return counters
