"""What a reader is shown: on the page, and in what ``snakemake --report`` holds."""

REPORT_CAPTIONS = "../workflow_scripts/presentation/captions/report"


def drawn(name):
    """Files of a figure as a rule's outputs: ``snakemake --report`` shows the PNG with its caption."""
    files, caption = figure(name), f"{REPORT_CAPTIONS}/{name}.rst"
    return files | {"png": report(files["png"], caption=caption, category="Figures", labels={"figure": name})}


def rendered(name):
    """Files of a table as a rule's outputs: ``snakemake --report`` holds the Markdown, and names what it shows."""
    files, caption = table(name), f"{REPORT_CAPTIONS}/table.rst"

    def labels(wildcards, output):
        first_line = Path(output.md).read_text(encoding="utf-8").split("\n")[0]
        return {"table": wildcards.table, "what it shows": first_line.split(" Definitions and caveats:")[0]}

    return files | {"md": report(files["md"], caption=caption, category="Tables", labels=labels)}


def page_rankers():
    """What the page's query explorer compares: BM25, the grid's teachers, and its students of the first seed."""
    references = [each for each in RANKERS.standing_references if each[0][3] in ("", *GRID["teachers"])]
    return references + [each for each in RANKERS.grid_students if each[0][4] == GRID["seeds"][0]]


def shown_on_page():
    """Test collections whose texts the page shows: all, or none."""
    return [*itertools.chain(*EXPERIMENT.evaluation_sets.values())] if CONFIG["analysis"]["texts"] else []


def page_tables():
    """Names of the tables that have numbers and a layout, in the order of TABLES."""
    names = unique(Path(path).stem for path in TABLES if path.endswith(".md"))
    return [name for name in names if PLACES.layout(name) in LAYOUTS]
