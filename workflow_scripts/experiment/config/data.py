"""Settings of the data: corpora, collections, domains, and the systems that rank documents."""

from __future__ import annotations

import re
import urllib.parse
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, Tag, model_validator

from workflow_scripts.experiment.addresses import is_address
from workflow_scripts.experiment.config.settings import (
    SHA256,
    VALUE_OR_PART,
    Count,
    Distinct,
    Flag,
    Maybe,
    Name,
    Natural,
    Number,
    Part,
    Pooling,
    Share,
    Similarity,
    Slug,
    Some,
    Text,
    left_out,
    setting,
)

DATASET = "an ir_datasets id"
COUNTED = (
    "count them and leave them out, but keep those of documents that the corpus lacks where the role is test or dev"
)
FILE = "relative to the working directory, or absolute"


class _Corpus(Part):
    docvectors: Flag = setting(
        "index term vectors too, for systems with rm3; filled in: true where one searches this corpus",
        left_out,
    )


class IrDatasetsCorpus(_Corpus):
    """Documents of a public dataset."""

    source: Literal["ir_datasets"]
    id: Name = setting(DATASET)
    text_fields: Some[Name] = setting('fields joined by a space into the text; left out, "text"', left_out)
    title_field: Maybe[Name] = setting("field of the title; left out, there is none", left_out)
    title_repeated: Flag = setting("true where the text field begins with the title; left out, false", left_out)
    title_separator: Maybe[Annotated[str, Field(min_length=1, max_length=100)]] = setting(
        "what ends a title at the start of the text; left out, nothing", left_out
    )

    @model_validator(mode="after")
    def _one_title(self) -> IrDatasetsCorpus:
        title = getattr(self, "title_field", None)
        if title and getattr(self, "title_separator", None):
            raise ValueError("title_field and title_separator are both given; keep one")
        if getattr(self, "title_repeated", False) and not title:
            raise ValueError("title_repeated needs title_field, which holds the title; name it, or leave both out")
        return self


class GeneratedCorpus(_Corpus):
    """Documents of the generated language, whose relevance is known."""

    source: Literal["generated"]
    world: Literal["in-domain", "mild-shift", "hard-shift"] = setting("how far it lies from the training world")
    seed: Natural = setting("of the language and the documents; one seed is one language")
    documents: Count = setting("how many", unit="documents", le=10**8)


class FilesCorpus(_Corpus):
    """Documents of your own."""

    source: Literal["files"]
    documents: Text = setting(f"a JSONL or TSV file, {FILE}")


Corpus = Annotated[IrDatasetsCorpus | GeneratedCorpus | FilesCorpus, Field(discriminator="source")]


class _Collection(Part):
    corpus: Slug = setting("the corpus that is searched")
    role: Literal["train", "dev", "test"] = setting(
        "train: with positives; test: with relevance judgements (qrels); dev: with judgements that choices are made by"
    )
    remove_query: Flag = setting(
        "drop the document whose id is the query's from its results; left out, false", left_out
    )


class _Judged(_Collection):
    min_relevance: Count = setting(
        "role train: lowest grade that makes a positive; a document of a lower grade above 0 is no negative either; "
        "left out, 1",
        left_out,
    )
    max_queries: Maybe[Count] = setting(
        "how many queries are kept, chosen by the seed; left out or null, all", left_out, unit="queries"
    )
    seed: Natural = setting("of the choice of queries; left out, 0", left_out)

    def refuse_training_settings(self) -> None:
        """Raise ValueError where a collection with judgements says which training pairs it gives, and for settings of
        judgements and queries where training pairs come from elsewhere."""
        pairs = getattr(self, "pairs", None)
        unread = {"titles": ("min_relevance", "query_field", "strict"), "docpairs": ("min_relevance",)}
        for key in unread.get(pairs or "", ()):
            if key in self.model_fields_set:
                raise ValueError(f"{key} is not read where pairs is {pairs}; leave it out")
        if self.role != "train" and pairs not in (None, "qrels"):
            raise ValueError(f"pairs {pairs} are for training; leave pairs out for role {self.role}")
        if self.role != "train" and "min_relevance" in self.model_fields_set:
            raise ValueError(f"min_relevance is for training; for role {self.role} a measure says it, as in AP(rel=2)")


class IrDatasetsCollection(_Judged):
    """Queries of a public dataset."""

    source: Literal["ir_datasets"]
    id: Name = setting(f"{DATASET}; needed unless pairs is titles", left_out)
    query_field: Name = setting('field of the query\'s text; left out, "text"', left_out)
    pairs: Literal["qrels", "docpairs", "titles"] = setting(
        "where positives come from (role train): judgements, training triples, or titles as queries for their own text",
        left_out,
    )
    strict: Flag = setting(f"true: refuse faulty judgements; false: {COUNTED}; left out, false", left_out)

    @model_validator(mode="after")
    def _complete(self) -> IrDatasetsCollection:
        if self.role == "train":
            self.require("role train", "pairs")
        if self.pairs != "titles":
            self.require("a collection of source ir_datasets", "id")
        self.refuse_training_settings()
        return self


class GeneratedCollection(_Collection):
    """Queries in the language of a generated corpus; every pair is judged."""

    source: Literal["generated"]
    seed: Natural = setting("the corpus' own seed")
    queries: Count = setting("how many", unit="queries", le=10**8)


class FilesCollection(_Judged):
    """Queries of your own."""

    source: Literal["files"]
    queries: Text = setting(f"a JSONL or TSV file, {FILE}; not for titles", left_out)
    qrels: Text = setting(f"judgements in TREC's format, {FILE}; not for titles", left_out)
    pairs: Literal["qrels", "titles"] = setting(
        "where positives come from (role train): judgements, or titles as queries for their own text", left_out
    )
    strict: Flag = setting(f"true: refuse faulty judgements; false: {COUNTED}; left out, true", left_out)

    @model_validator(mode="after")
    def _complete(self) -> FilesCollection:
        if self.role == "train":
            self.require("role train", "pairs")
        if self.role != "train" or self.pairs == "qrels":
            self.require("a collection of files with judgements", "queries", "qrels")
        elif self.model_fields_set & {"queries", "qrels"}:
            raise ValueError("queries and qrels are not read where pairs is titles; leave them out")
        self.refuse_training_settings()
        return self


Collection = Annotated[IrDatasetsCollection | GeneratedCollection | FilesCollection, Field(discriminator="source")]


class CollectionSet(Part):
    """Collections that count as one in a domain's mean."""

    name: Slug = setting("names the set in the tables")
    collections: Some[Slug] = setting("test collections of the set")


Domain = Some[Annotated[Annotated[Slug, Tag("value")] | Annotated[CollectionSet, Tag("part")], VALUE_OR_PART]]
"""Test collections and sets of them; a domain's value is the mean over its members."""


class _System(Part):
    depth: Count = setting("documents kept per query", unit="documents")


class _Lucene(_System):
    rm3: Flag = setting("expand the query by pseudo-relevance feedback (RM3); left out, false", left_out)


class Bm25System(_Lucene):
    """Lucene's BM25."""

    model: Literal["bm25"]
    k1: Number = setting("saturation of term frequency", ge=0, le=1000)
    b: Share = setting("normalisation by length")


class QldSystem(_Lucene):
    """Lucene's query likelihood with Dirichlet smoothing."""

    model: Literal["qld"]
    mu: Number = setting("smoothing", ge=0.001)


class DenseSystem(_System):
    """Nearest neighbours of a bi-encoder."""

    model: Literal["dense"]
    encoder: Text = setting(
        "a backbone, or the path of a bi-encoder's cell: be/lce.bm25.none/seed0; prefixes that only a model's card "
        "asks for (E5's 'query: ') are not added"
    )
    pooling: Pooling = setting("of a backbone; left out, as its sentence-transformers files say, else cls", left_out)
    similarity: Similarity = setting("of a backbone; left out, as these files say, else dot", left_out)
    index: Text = setting("a Faiss index, Flat or IVF256,Flat; left out, Flat, which is exact", left_out)
    index_parameters: Text = setting("of the index's search: nprobe=16; left out, Faiss' own", left_out)


def _address(url: str) -> str:
    name = urllib.parse.unquote(urllib.parse.urlparse(url).path).rsplit("/", 1)[-1]
    if not is_address(url, "https", "file") or not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(f"{url!r} must begin with https:// (or file:///) and end with a file's name")
    return url


def _mirror(start: str) -> str:
    if not is_address(start, "https", "http", "file"):
        raise ValueError(f"{start!r} must begin with https://, http:// or file:///")
    return start


Mirrors = dict[Text, Annotated[Text, AfterValidator(_mirror)]]
"""Beginning of an address to what stands in its place."""


class ImportedSystem(_System):
    """Published rankings in the format of SentenceTransformers' hard negatives."""

    model: Literal["import"]
    url: Annotated[Text, AfterValidator(_address)] = setting("https address of the file, or file:/// of a copy")
    sha256: Maybe[Annotated[str, Field(pattern=SHA256)]] = setting("checksum; null where none is published", None)
    systems: Some[Name] = setting("the file's systems to read")


System = Annotated[Bm25System | QldSystem | DenseSystem | ImportedSystem, Field(discriminator="model")]


class Lengths(Part):
    """Longest texts that a model reads."""

    query: Count = setting("kept of a query", unit="tokens")
    document: Count = setting("kept of a document", unit="tokens")


class FirstStage(Part):
    """The ranking that is re-ranked in evaluation."""

    system: Slug = setting("a system of Lucene (bm25, qld)")
    depth: Count = setting("re-ranked per query", unit="documents")
    check: Distinct[Slug] = setting("systems compared with the published figures of config/expected/bm25.yaml", [])
