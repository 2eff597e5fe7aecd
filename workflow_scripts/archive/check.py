"""Check an archive without unpacking it: ``make check-archive ARCHIVE=demo.tar``.

``python -m workflow_scripts.archive.check demo.tar`` reads every byte and writes nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from workflow_scripts.archive.container import read_archive
from workflow_scripts.storage.command import end_in_one_line


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("archive", type=Path, help="a file that make archive has written")
    archive = parser.parse_args().archive
    about = read_archive(archive)
    packed = [name for name in ("models", "texts") if about[name]]
    print(f"{archive}: experiment {about['experiment']}, {len(about['files']):,} files are as they were packed")
    print(f"with {' and '.join(packed)}" if packed else "without models and texts")
    print(f"{len(about['left_out']):,} files were left out: archive.json names each, and why")


if __name__ == "__main__":
    end_in_one_line(main)
