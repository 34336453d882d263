"""Labels in CVAT's image format, from FiftyOne's own parts.

FiftyOne's exporter is not used: it leaves out unlabelled pictures, writes names with ``&`` or ``"`` as they are, which is
no XML, and an empty list of classes that its own importer cannot read.
"""

import re
from pathlib import Path

import fiftyone as fo
import fiftyone.constants as foc
import fiftyone.core.utils as fou
import fiftyone.utils.cvat as fouc
import jinja2

from ..progress import Report


def write_cvat(
    samples: fo.core.collections.SampleCollection,
    label_field: str | None,
    path: Path,
    *,
    name: str,
    root: str | None,
    report: Report,
) -> None:
    """Write the labels of samples, with an entry for each sample.

    Args:
        samples: whose picture files exist, unless their metadata is known
        label_field: with labels that CVAT can hold; None for none
        path: the XML file
        name: of the task
        root: the folder that the pictures' names are relative to; None for absolute paths
    """
    images, total = [], len(samples)
    for number, sample in enumerate(samples.iter_samples()):
        report("Writing the labels", number, total)
        metadata = sample.metadata or fo.ImageMetadata.build_for(sample.filepath)
        labels = {"labels": sample[label_field]} if label_field else {}
        image = fouc.CVATImage.from_labels(labels, metadata)
        image.id = number
        image.name = fou.safe_relpath(sample.filepath, root) if root else sample.filepath
        images.append(image)
    classes = fouc.CVATTaskLabels.from_cvat_images(images)
    _writer().write(classes, images, str(path), id=0, name=name)
    if not classes.labels:
        path.write_text(re.sub(r"\s*<labels>\s*</labels>", "", path.read_text("utf-8")), "utf-8")


def _writer() -> fouc.CVATImageAnnotationWriter:
    """FiftyOne's writer, made to escape what it writes."""
    writer = fouc.CVATImageAnnotationWriter()
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(foc.RESOURCES_DIR),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    writer.template = environment.get_template("cvat_image_annotation_template.xml")
    return writer
