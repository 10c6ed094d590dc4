"""The static files of the page. They contain no data, so they are the same for all users."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of the page.

    :param content: its bytes.
    :param media_type: its ``Content-Type``.
    :param etag: changes with the content.
    """

    content: bytes
    media_type: str
    etag: str


@cache
def static_files() -> dict[str, StaticFile]:
    """Read all files, once in a process.

    :return: name -> file.
    """
    found = {}
    for path in sorted(FOLDER.iterdir()):
        if media_type := MEDIA_TYPES.get(path.suffix):
            content = path.read_bytes()
            found[path.name] = StaticFile(content, media_type, f'"{hashlib.sha256(content).hexdigest()[:20]}"')
    return found
