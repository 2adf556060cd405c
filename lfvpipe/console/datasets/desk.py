"""All that the console does with the data sets of a region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lfvpipe.console.datasets import examining, thumbnails
from lfvpipe.console.datasets.copies import Copies
from lfvpipe.console.datasets.derived import Derived
from lfvpipe.console.datasets.editing import Editing
from lfvpipe.console.datasets.examining import Examining
from lfvpipe.console.datasets.findings import Findings
from lfvpipe.console.datasets.imports import Imports
from lfvpipe.console.datasets.marking import Marking
from lfvpipe.console.datasets.updates import Updates
from lfvpipe.console.datasets.uploads import Uploads
from lfvpipe.console.outlines import Outlines

if TYPE_CHECKING:
    from lfvpipe.console.datasets.pipelines import Pipelines
    from lfvpipe.lookout.api import LookoutClient
    from lfvpipe.service import Service


class Desk:
    """What stays in memory over the requests of many people: one for each region.

    Args:
        client: Asks the service, in the name of whoever is acting.
        service: The region's.
        pipelines: Are told of what is decided about their images.

    Attributes:
        editing: Calls images something, moves and removes them.
        uploads: Takes images in from people's computers.
        imports: Takes in what lies in buckets.
        marking: Marks where their anomalies are.
        thumbnails: Shows them.
        examining: Measures them.
        findings: Says which of them are worth a look.
        outlines: Draws where models see their anomalies.
    """

    def __init__(self, client: LookoutClient, service: Service, pipelines: Pipelines) -> None:
        self.pipelines = pipelines
        self.updates = Updates(client, service.images)
        self.editing = Editing(service.images, self.updates, pipelines.tell)
        copies = Copies(service.buckets)
        self.uploads = Uploads(service, self.updates, self.editing, copies)
        self.imports = Imports(service, copies)
        self.marking = Marking(service, self.editing)
        pictures = service.folder / "thumbnails.db"
        self.thumbnails = Derived(pictures, thumbnails.draw, thumbnails.MOST_BYTES)
        measures = Derived(service.folder / "measures.db", examining.derive, examining.MOST_BYTES)
        self.examining = Examining(service, measures)
        self.findings = Findings()
        self.outlines = Outlines(service)
