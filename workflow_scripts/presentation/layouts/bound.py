"""Layout of the bound table: sampler x teacher down, terms across; student x n down, its estimation term across."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from workflow_scripts.presentation.layout import Layout, table_by
from workflow_scripts.presentation.table_formats import TextTable, text_table

UNITS = {"queries": "training queries", "pairs": "pairs, as if independent"}


def layout(numbers: pd.DataFrame, spec: Mapping) -> Layout:
    """The Markdown and the LaTeX hold both parts."""
    verdicts = numbers.loc[numbers["quantity"] == "verdict", "note"]
    has_risk = (numbers["quantity"] == "measured_risk").any()
    sentences = ["shown", "symbols", "measured risk"] if has_risk else ["shown", "symbols"]
    texts = {"Terms": _sampler_table(numbers, spec, has_risk), "Estimation term": _student_table(numbers)}
    values = {"vacuous": verdicts.str.startswith("vacuous:").sum(), "rows": len(verdicts)}
    return Layout(texts, sentences, numbers, values, "%.10g", in_latex=2)


def _sampler_table(numbers: pd.DataFrame, spec: Mapping, has_risk: bool) -> TextTable:
    """The terms, the verdict and, where there are any, the measured risks and the teacher's measured errors."""
    has_truth = (numbers["quantity"] == "misordered").any()

    def texts_of(own: pd.DataFrame) -> list[str]:
        plain = own[own["student"] == ""].set_index("quantity")
        value = plain["value"]
        names = ("diameter", "lipschitz_max", "lipschitz_quantile", "lipschitz_diameter_max")
        texts = [_number(value[name]) for name in (*names, "lipschitz_diameter_quantile", "kappa")]
        texts += [f"{100 * value['bounded']:.1f}%", _number(value["kappa_factor"])]
        texts += [_number(value["entropy_bits"]), f"{value['entropy_nats']:.3f} zeta"]
        texts.append(f"{value['misordering_least']:.3f} to {value['misordering_most']:.3f}")
        texts += [f"{value['misordered']:.4f}"] if has_truth else []
        terms = own[(own["quantity"] == "estimation") & (own["unit"] == "queries")]
        smallest = terms.loc[terms["value"].idxmin()]
        texts += [_at_least(smallest["value"], smallest["note"]), *plain["note"]["verdict"].split(": ")]
        if has_risk:
            risks = own[own["quantity"] == "measured_risk"].set_index("student")["value"]
            texts += [_number(risks[name]) if name in risks else "" for name in spec["students"]]
        return texts

    quantile = f"{spec['quantile']:g}"
    headers = [
        ("locality", ["Delta", "L max", f"L {quantile}", "L Delta max", f"L Delta {quantile}"]),
        ("kappa", ["on the support", "finite", "factor"]),
        ("teacher entropy", ["H bits", "zeta H (nats)"]),
        ("teacher misorders", ["if calibrated", "measured"] if has_truth else ["if calibrated"]),
        ("estimation", ["smallest student"]),
        ("bound", ["verdict", "because"]),
    ]
    if has_risk:
        headers.append(("measured excess risk", list(spec["students"])))
    return table_by(("sampler", "teacher"), numbers, headers, texts_of, section=0)


def _student_table(numbers: pd.DataFrame) -> TextTable:
    """The estimation term of each student and n; once where samplers have the same n."""
    lines: dict[tuple[str, str, str], list[str]] = {}
    keys = ["student", "unit", "sampler", "teacher"]
    for (student, unit, *_), own in numbers[numbers["unit"] != ""].groupby(keys, sort=False):
        found = own.set_index("quantity")
        value = found["value"]
        texts = [f"{value[name]:,.0f}" for name in ("n", "parameters")]
        texts += [_at_least(value["estimation"], found["note"]["estimation"]), f"{value['largest_d']:,.0f}"]
        texts += [_number(value["parameters_per_d"]), f"{value['n_needed']:,.0f}"]
        lines[student, UNITS[unit], texts[0]] = texts
    headers = [
        ("", ["n", "parameters"]),
        ("estimation", ["d = parameters"]),
        ("term below 1", ["largest d", "parameters / d", "n needed"]),
    ]
    shown = ((labels[0], labels[:2], texts) for labels, texts in lines.items())
    return text_table(("student", "n counts"), headers, shown)


def _number(value: float) -> str:
    if math.isinf(value):
        return "infinite"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _at_least(value: float, note: str) -> str:
    return f"at least {value:.2f}" if note else f"{value:.2f}"
