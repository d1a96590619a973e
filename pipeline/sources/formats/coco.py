"""COCO: the pictures of a captions, instances or image-info file. Annotations are left to `pixmill eval`."""

from __future__ import annotations

from pipeline.sources.formats.json_items import items
from pipeline.sources.manifests.columns import ID, IMAGE
from pipeline.sources.manifests.records import Table
from pipeline.sources.manifests.source import Source

_NAMES = ("file_name", "id", "width", "height", "license", "coco_url", "flickr_url", "date_captured")


def coco(source: Source) -> Table:
    meaning = {IMAGE: "file_name", ID: "id"}
    return Table(names=_NAMES, records=items(source.blocks(), "images.item"), unit="picture", meaning=meaning)
