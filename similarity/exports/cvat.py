"""Labels in CVAT's image format.

FiftyOne's exporter is not used: it leaves out unlabelled pictures, writes names with ``&`` or ``"`` as they are, which is
no XML, and an empty list of classes that its own importer cannot read.
"""

import math
import re
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.constants as foc
import fiftyone.core.utils as fou
import fiftyone.utils.cvat as fouc
import fiftyone.utils.data as foud
import jinja2
from markupsafe import Markup, escape

from ..data.labels import singles

_NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KEPT_AS_IS = {ord(space): f"&#{ord(space)};" for space in "\t\n\r"}  # XML reads them as blanks otherwise


def is_xml(text: str) -> bool:
    """Return whether XML can hold a text."""
    return not _NO_XML.search(text)


class CVATExporter(foud.LabeledImageDatasetExporter):
    """Writes an entry for each picture, in the protocol of FiftyOne's exporters.

    Args:
        path: the XML file
        name: of the task
        root: the folder that the pictures' names are relative to; None for absolute paths
    """

    requires_image_metadata = True
    label_cls = None

    def __init__(self, path: Path, name: str, root: str | None):
        super().__init__(export_dir=str(path.parent))
        self._path, self._name, self._root = path, name, root
        self._images: list[fouc.CVATImage] = []

    def setup(self) -> None:
        """Nothing is needed before the first picture."""

    def export_sample(
        self, image_or_path: str, label: fo.Label | None, metadata: fo.ImageMetadata | None = None
    ) -> None:
        """Add a picture, labelled or not."""
        image = fouc.CVATImage.from_labels({"labels": _placed(label)}, metadata)
        image.id = len(self._images)
        image.name = fou.safe_relpath(image_or_path, self._root) if self._root else image_or_path
        self._images.append(image)

    def close(self, *args: Any) -> None:
        """Write the file."""
        writer = fouc.CVATImageAnnotationWriter()
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(foc.RESOURCES_DIR),
            autoescape=True,
            finalize=_as_xml,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        writer.template = environment.get_template("cvat_image_annotation_template.xml")
        classes = fouc.CVATTaskLabels.from_cvat_images(self._images)
        writer.write(classes, self._images, str(self._path), id=0, name=self._name)
        if not classes.labels:
            text = self._path.read_text("utf-8")
            self._path.write_text(re.sub(r"\s*<labels>\s*</labels>", "", text), "utf-8")


def _placed(label: fo.Label | None) -> fo.Label | None:
    """Return keypoints without points that have no place, which are NaN; other labels as they are."""
    if not isinstance(label, fo.Keypoint | fo.Keypoints):
        return label
    found = singles(label.copy())
    for one in found:
        one.points = [point for point in one.points if all(map(math.isfinite, point))]
    return fo.Keypoints(keypoints=[one for one in found if one.points])


def _as_xml(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return Markup(escape(_NO_XML.sub("\ufffd", value)).translate(_KEPT_AS_IS))
