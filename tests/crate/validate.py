"""Hold a crate against profiles, without a network: run by a Python that has roc-validator and rocrate.

The one document that the validator would fetch is the JSON-LD context of RO-Crate 1.1. In its place stands the 1.3 that
comes with rocrate, with Bioschemas' terms where 1.1 has them.
"""

import json
import sys
from importlib import import_module  # of what tests/crate/requirements.txt alone has
from importlib.resources import files
from types import SimpleNamespace

services, models, http = map(
    import_module, (f"rocrate_validator.{name}" for name in ("services", "models", "utils.http"))
)
text = files("rocrate").joinpath("data/ro-crate.jsonld").read_text("utf8")
context = json.loads(text.replace("https://bioschemas.org/terms/", "https://bioschemas.org/"))
headers = {"Content-Type": "application/ld+json"}
answer = SimpleNamespace(status_code=200, headers=headers, json=lambda: context, text=text)
http.HttpRequester.get = lambda self, url, *arguments, **options: answer
for profile in sys.argv[2:]:
    settings = services.ValidationSettings(
        rocrate_uri=sys.argv[1], profile_identifier=profile, requirement_severity=models.Severity.REQUIRED
    )
    for issue in services.validate(settings).get_issues():
        print(f"{issue.check.identifier} {issue.message} {issue.violatingEntity}")
