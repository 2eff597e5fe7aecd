"""Generated documents, queries and judgements as a user's own files, written in parts: nothing is held whole."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from workflow_scripts.collect.generated import make_documents
from workflow_scripts.collect.language import generator, make_language
from workflow_scripts.storage.command import end_in_one_line

PART = 20_000
QUERY_WORDS = 3


def write_files(folder: str | Path, documents: int, queries: int, *, seed: int = 7) -> None:
    """Write documents.jsonl, and for train and test {role}.queries.jsonl and {role}.qrels.

    A query is three words of its only relevant document; queries come from the first part, whatever the corpus' size.
    """
    folder, language = Path(folder), make_language(seed)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "documents.jsonl", "w") as file:
        for first in range(0, documents, PART):
            texts = make_documents(language, "in-domain", min(PART, documents - first), seed + first).texts()
            texts = list(texts)
            if not first:
                _write_queries(folder, texts, queries, seed)
            for place, text in enumerate(texts, first):
                file.write(json.dumps({"doc_id": f"d{place:09d}", "text": text}) + "\n")


def _write_queries(folder: Path, texts: list[str], queries: int, seed: int) -> None:
    draw = generator(seed, "bench", "queries")
    sources = draw.choice(len(texts), 2 * queries, replace=False)
    for role, rows in (("train", sources[:queries]), ("test", sources[queries:])):
        with open(folder / f"{role}.queries.jsonl", "w") as lines, open(folder / f"{role}.qrels", "w") as qrels:
            for number, row in enumerate(rows):
                words = " ".join(draw.choice(texts[row].split(), QUERY_WORDS))
                lines.write(json.dumps({"query_id": f"{role}{number}", "text": words}) + "\n")
                qrels.write(f"{role}{number} 0 d{row:09d} 1\n")


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, required=True)
    parser.add_argument("--queries", type=int, required=True, help="of each role")
    parser.add_argument("--output", required=True, help="folder to write")
    arguments = parser.parse_args(argv)
    write_files(arguments.output, arguments.documents, arguments.queries)


if __name__ == "__main__":
    end_in_one_line(main)
