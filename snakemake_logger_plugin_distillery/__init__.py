"""``--logger distillery``: Snakemake finds it by this name where the project's folder is on Python's path.

``python -m snakemake``, started in the project's folder, puts it there; ``snakemake`` alone does not, and has its own.
"""

from workflow_scripts.daily.run_progress import LogHandler

__all__ = ["LogHandler"]
