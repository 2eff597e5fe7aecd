"""Compare two results folders of one experiment: weights, runs and metrics by bytes, tables number by number.

    python tests/compare_results.py OLD NEW

Prints how much agrees and a line for whatever differs or is missing; exit status 1 where anything does. What only NEW
has is no difference. Students that read no teacher are found under ``none`` in the teacher's place too; costs differ
from run to run and are left out.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

BYTES = ("*/**/model.safetensors", "runs/**/*.run.gz", "*/**/history.parquet")
TIMES = {"tables/cost", "tables/advice", "tables/configuration"}
RENAMED = {"tables/collections.": "tables/per_collection.", "tables/training.": "tables/training_collections."}


def compare(old: Path, new: Path) -> Iterator[str]:
    """What differs, a line each."""
    same = 0
    for pattern in BYTES:
        for path in sorted(old.glob(pattern)):
            counterpart = _counterpart(path.relative_to(old), new)
            if counterpart is None:
                yield f"missing: {path.relative_to(old)}"
            elif _checksum(path) != _checksum(counterpart):
                yield f"other bytes: {path.relative_to(old)}"
            else:
                same += 1
    yield from _metrics(old, new)
    for path in sorted(old.glob("tables/*.csv")):
        name = str(path.relative_to(old).with_suffix(""))
        if name in TIMES:
            continue
        counterpart = _counterpart(path.relative_to(old), new)
        if counterpart is None:
            yield f"missing: {path.relative_to(old)}"
            continue
        yield from _numbers(path, counterpart, name)
    print(f"{same} files of weights, runs and histories have the same bytes")


def _counterpart(path: Path, new: Path) -> Path | None:
    """The file of the same artifact: under its name, under its new one, or under ``none`` as the teacher."""
    names = [
        str(path),
        re.sub(r"^((?:students|runs|runs/retrieved)/\w+/[\w-]+\.[\w-]+)\.[\w-]+/", r"\1.none/", str(path)),
    ]
    names += [names[0].replace(before, after) for before, after in RENAMED.items()]
    # Runs lie in the folder of their evaluation set, whichever each side has.
    for name in [name for name in names if name.endswith(".run.gz")]:
        ranker, file = Path(name).parent, Path(name).name
        names += [
            str(found.relative_to(new))
            for folder in (ranker, ranker.parent)
            for found in (new / folder).glob(f"*/{file}")
        ]
    return next((new / name for name in names if (new / name).is_file()), None)


def _checksum(path: Path) -> str:
    """Of a file's bytes; of a run without its last column, the tag, which holds the ranker's id."""
    if path.name.endswith(".run.gz"):
        with gzip.open(path, "rb") as file:
            return hashlib.sha256(b"".join(line.rpartition(b" ")[0] + b"\n" for line in file)).hexdigest()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _metrics(old: Path, new: Path) -> Iterator[str]:
    """Values of every ranker, query and measure that OLD has, under the ranker's name or without its teacher."""
    keys = ["student", "loss", "sampler", "teacher", "seed", "collection", "query_id", "measure"]
    for name in ("metrics", "retrieval"):
        if not (old / f"{name}.parquet").exists():
            continue
        tables = [pd.read_parquet(folder / f"{name}.parquet").fillna({"seed": -1}) for folder in (old, new)]
        tables = [table.astype(dict.fromkeys(keys, str)).set_index(keys)["value"] for table in tables]
        found = tables[1].reindex(tables[0].index)
        absent = found.isna() & tables[0].notna()
        bare = [(*key[:3], "none", *key[4:]) for key in found.index[absent]]
        found[absent] = tables[1].reindex(pd.MultiIndex.from_tuples(bare, names=keys)).to_numpy() if bare else []
        wrong = found.ne(tables[0]) & ~(found.isna() & tables[0].isna())
        if wrong.any():
            yield f"{name}.parquet: {int(wrong.sum())} of {len(wrong)} values differ, first {found.index[wrong][0]}"
        print(f"{name}.parquet: {int((~wrong).sum()):,} of {len(wrong):,} values agree, {len(tables[1]):,} in NEW")


def _numbers(old: Path, new: Path, name: str) -> Iterator[str]:
    """Cells of OLD's table as texts, in its columns and in the order of its rows."""
    before, after = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in (old, new))
    lacking = [column for column in before.columns if column not in after.columns]
    if lacking or len(before) != len(after):
        yield f"{name}: {len(before)} rows became {len(after)}; columns gone: {', '.join(lacking) or 'none'}"
        return
    wrong = before.ne(after[before.columns])
    if wrong.any(axis=None):
        row, column = next(zip(*wrong.to_numpy().nonzero(), strict=True))
        where = f"row {row}, {before.columns[column]}"
        change = f"{before.iat[row, column]} became {after[before.columns].iat[row, column]}"
        yield f"{name}: {int(wrong.to_numpy().sum())} of {before.size} cells differ; {where}: {change}"


def main(old: str, new: str) -> int:
    """Print the differences; 1 where there is one."""
    differences = list(compare(Path(old), Path(new)))
    print("\n".join(differences) or "no difference")
    return bool(differences)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
