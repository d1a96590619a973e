"""Thumbnails: small copies of pictures within a page, so that it stays complete when the pictures are elsewhere."""

from __future__ import annotations

import base64
import io
from html import escape

from PIL import Image

from workers.child import Refused
from workers.opener import Opener

ROOM = (400, 300)
"""pixels of a small copy"""


def thumbnail(locator: str, name: str, opener: Opener) -> str:
    """A picture as HTML, or why there is none. It is opened by the decoder, and only its small copy is in the page."""
    try:
        picture = opener.open(locator)
    except Refused as refusal:
        return f'<p class="gone">{escape(refusal.message)}</p>'
    picture.thumbnail(ROOM, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    data = base64.b64encode(file.getvalue()).decode()
    size = f'width="{picture.width}" height="{picture.height}"'
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(name)}" {size}>'
