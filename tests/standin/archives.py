"""Archives in the published layouts, a thousandth of their size: MS MARCO, BEIR, DPR, mined hard negatives.

Each function gives the files by the names that ir_datasets' own list of downloads has for them. They have the quirks of
the published ones: texts encoded twice, ids with brackets and letters of other scripts, empty titles and texts, judged
documents that no corpus has, quotes of CSV fields, questions without an annotated passage.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping

from tests.standin.language import Passages

Files = dict[str, bytes]
PASSAGES, QUERIES, BEIR_DOCUMENTS, FORUM_DOCUMENTS = 1500, 500, 220, 130
FORUMS = ("android", "english", "gaming", "gis", "mathematica", "physics")
FORUMS += ("programmers", "stats", "tex", "unix", "webmasters", "wordpress")
SPLITS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("trec-covid", "nq", "arguana", "webis-touche2020", "scidocs", "climate-fever"), ("test",)),
    **dict.fromkeys(("nfcorpus", "hotpotqa", "fiqa", "fever"), ("train", "dev", "test")),
    **dict.fromkeys(("quora", "dbpedia-entity"), ("dev", "test")),
    "scifact": ("train", "test"),
}
"""BEIR's sets with the splits of their judgements."""
METADATA: dict[str, tuple[dict, dict]] = {
    "trec-covid": ({"url": "u", "pubmed_id": "1"}, {"query": "q", "narrative": "n"}),
    "nfcorpus": ({"url": "u"}, {"url": "u"}),
    "hotpotqa": ({"url": "u"}, {}),
    "dbpedia-entity": ({"url": "u"}, {}),
    "webis-touche2020": ({"stance": "PRO", "url": "u"}, {"description": "d", "narrative": "n"}),
    "scidocs": tuple([{"authors": ["a"], "year": 2020, "cited_by": ["b"], "references": []}] * 2),
}
"""Metadata of documents and of queries, where a set has any."""
TWICE_ENCODED = "café\u2019s".encode().decode("latin-1")


def lines(rows: list[str]) -> bytes:
    """Text lines as UTF-8."""
    return "".join(f"{row}\n" for row in rows).encode()


def tar(members: Mapping[str, bytes]) -> bytes:
    """A gzipped tar archive."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def msmarco(systems: list[str]) -> tuple[Files, bytes]:
    """MS MARCO's passages, training triples and TREC DL's judgements; and the mined negatives of ``systems``."""
    passages = Passages(PASSAGES, "msmarco")
    draw = passages.draw
    texts = [
        f"{passages.text(number)} {TWICE_ENCODED if number % 3 else 'plain'} {number}." for number in range(PASSAGES)
    ]
    ids = draw.sample(range(1, 1_200_000), QUERIES + 100)
    answers = {
        query: [draw.randrange(PASSAGES) for _ in range(1 + (place % 16 == 0))] for place, query in enumerate(ids)
    }
    # ir_datasets tells queries apart by their text.
    queries = {query: f"{passages.question(answers[query][0])} {place}" for place, query in enumerate(ids)}
    triples = [
        f"{queries[query]}\t{texts[answer]}\t{texts[draw.randrange(PASSAGES)]}"
        for query in ids[:QUERIES]
        for answer in answers[query]
        for _ in range(3)
    ]
    files = {
        "collectionandqueries": tar({"collection.tsv": lines([f"{n}\t{text}" for n, text in enumerate(texts)])}),
        "queries": tar({"queries.train.tsv": lines([f"{query}\t{text}" for query, text in queries.items()])}),
        "train/docpairs/small": tar({"triples.train.small.tsv": lines(triples)}),
        **_trec_dl("trec-dl-2019", passages, 12),
        **_trec_dl("trec-dl-2020", passages, 14),
    }
    records = []
    for place, query in enumerate(ids):
        near = [*passages.near(answers[query][0]), *draw.sample(range(PASSAGES), 60)]
        mined = {name: draw.sample(near, 50) for number, name in enumerate(["bm25", *systems]) if (place + number) % 41}
        if place % 53 == 0 and systems[0] in mined:
            mined[systems[0]].append(mined[systems[0]][0])  # listed twice
        if place % 97:  # some queries are not in the file
            records.append(json.dumps({"qid": query, "pos": answers[query], "neg": mined}))
    return files, gzip.compress(lines(records))


def _trec_dl(name: str, passages: Passages, judged: int) -> Files:
    draw = passages.draw
    ids = draw.sample(range(1, 1_200_000), 40)
    asked = {query: draw.randrange(len(passages)) for query in ids}
    queries = [f"{query}\t{passages.question(passage)}" for query, passage in asked.items()]
    rows = []
    for query in ids[:judged]:  # the others are judged by no one
        grades = dict.fromkeys(draw.sample(range(len(passages)), 8), 0)
        grades |= {passage: draw.choice((0, 1, 1, 2)) for passage in passages.near(asked[query])[:12]}
        rows += [f"{query} Q0 {passage} {grade}" for passage, grade in {**grades, asked[query]: 3}.items()]
    return {f"{name}/queries": gzip.compress(lines(queries)), f"{name}/qrels": lines(rows)}


def beir() -> Files:
    """BEIR's archives, CQADupStack's twelve forums in one."""
    files = {}
    for name, splits in SPLITS.items():
        members = _beir_set(name, splits, BEIR_DOCUMENTS, 8, *METADATA.get(name, ({}, {})))
        key = "webis-touche2020/v2" if name == "webis-touche2020" else name
        files[key] = zipped({f"{name}/{file}": content for file, content in members.items()})
    forums = {
        forum: _beir_set(forum, ("test",), FORUM_DOCUMENTS, 5, {"tags": ["t"]}, {"tags": ["t"]}) for forum in FORUMS
    }
    files["cqadupstack"] = zipped(
        {f"cqadupstack/{forum}/{file}": content for forum, each in forums.items() for file, content in each.items()}
    )
    return files


def _beir_set(
    name: str, splits: tuple[str, ...], number: int, queries: int, of_document: dict, of_query: dict
) -> Files:
    passages = Passages(number, name, topics=20)
    doc_ids = [_doc_id(name, row) for row in range(number)]
    corpus = [
        {
            "_id": doc_id,
            "title": "" if row % 5 == 0 else " ".join(passages.words[row][:4]),
            "text": "" if row % 37 == 3 else f"{passages.text(row)} “quoted”\n\tand more",
            "metadata": of_document,
        }
        for row, doc_id in enumerate(doc_ids)
    ]
    asked, judgements = [], []
    for place in range(queries):
        row = passages.draw.choice([row for row in range(number) if row % 37 != 3])
        # An argument of ArguAna is a document too, its counterargument another.
        argument = name == "arguana"
        query = doc_ids[row] if argument else str(place)
        text = passages.text(row) if argument else passages.question(row, 5)
        if query not in (each["_id"] for each in asked):
            asked.append({"_id": query, "text": text, "metadata": of_query})
            relevant = ([] if argument else [row]) + (passages.near(row) or [(row + 1) % number])[:2]
            judgements += [f"{query}\t{doc_ids[each]}\t{1 + (each == row)}" for each in relevant]
    judgements.append(f"{asked[0]['_id']}\tnot-in-the-corpus\t1")
    return {
        "corpus.jsonl": lines([json.dumps(each) for each in corpus]),
        "queries.jsonl": lines([json.dumps(each) for each in asked]),
        **{f"qrels/{split}.tsv": lines(["query-id\tcorpus-id\tscore", *judgements]) for split in splits},
    }


def _doc_id(name: str, row: int) -> str:
    if name == "dbpedia-entity":
        return f"<dbpedia:Thing_{row}_(café)>"
    return f"Café_-LRB-{row}-RRB-_中文" if name.endswith("fever") else f"{name}-{row}"


def dpr() -> Files:
    """DPR's Wikipedia passages, fields of CSV between tabs, and Natural Questions with their passages."""
    passages = Passages(1200, "dpr", shortest=18)
    draw = passages.draw
    rows = ["id\ttext\ttitle"]
    for row in range(len(passages)):
        text = f'"{passages.text(row)} ""so"" they say"' if row % 2 else passages.text(row)
        rows.append(f"{row + 1}\t{text}\t{passages.words[row][0]}")

    def context(row: int, score: float) -> dict:
        return {"title": "t", "text": "x", "score": score, "title_score": 1, "passage_id": str(row + 1)}

    questions = []
    for place in range(300):
        row = draw.randrange(len(passages))
        annotated = [context(row, 1000)] if place % 11 else []  # of some questions none is
        questions.append(
            {
                "dataset": "nq_train_psgs_w100",
                "question": passages.question(row) + (" \tand a tab" if place == 5 else ""),
                "answers": ["an answer", "another"],
                "positive_ctxs": [*annotated, context(draw.randrange(len(passages)), 12.3)],
                "negative_ctxs": [context(draw.randrange(len(passages)), 0) for _ in range(5)],
                "hard_negative_ctxs": [context(draw.randrange(len(passages)), 9.1) for _ in range(5)],
            }
        )
    return {"docs": gzip.compress(lines(rows)), "nq-train": gzip.compress(json.dumps(questions, indent=1).encode())}
