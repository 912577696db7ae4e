"""Manifests from other tools' lists of utterances, and for other tools. One file a format.

::

    from m3ser.corpora import write_manifest
    from m3ser.corpora.interchange import export_manifest, import_manifest

    found = import_manifest("EmoBox/data/ravdess")                       # whichever format it is
    write_manifest("ravdess.csv", found.utterances)
    export_manifest(found, "ravdess_audformat", "audformat")
"""

from m3ser.corpora.interchange.conversion import Note, export_manifest, import_manifest
from m3ser.corpora.interchange.formats import FORMATS, Format, format_of

__all__ = ["FORMATS", "Format", "Note", "export_manifest", "format_of", "import_manifest"]
