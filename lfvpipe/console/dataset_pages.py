"""A project's data sets: images to look at, to call something, to add, to move and to remove."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.responses import HTMLResponse, JSONResponse, Response

from lfvpipe.console.dataset_checks import Looked, look_through
from lfvpipe.console.datasets.calls import (
    Call,
    NoCall,
    call_by_folder,
    call_of,
    name_call,
    read_folders,
    read_type,
)
from lfvpipe.console.datasets.editing import Seen
from lfvpipe.console.datasets.findings import Check
from lfvpipe.console.datasets.imports import Listed
from lfvpipe.console.datasets.updates import DatasetName
from lfvpipe.console.datasets.uploads import UnfitUpload, Upload
from lfvpipe.console.pictures import give_image, give_thumbnail
from lfvpipe.console.rendering import render
from lfvpipe.console.visit import KIB, Page, Refusal, check_address, read_number
from lfvpipe.console.wording import say
from lfvpipe.lookout.api import DATASET_TYPES
from lfvpipe.service.images import ImageId, Order, Show, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lfvpipe.console.datasets.editing import Done
    from lfvpipe.console.visit import Visit
    from lfvpipe.service.images import Catalogue, DatasetImage

A_PAGE: Final = 120
"""Images of a page: as many as a browser shows without a wait."""
_CHOICE: Final = 16 * KIB * KIB  # bytes of a request that names 100,000 images
_FILE: Final = 64 * KIB * KIB
_NAMED: Final = 5  # images that a notice names
_A_LOOK: Final = 0.5  # seconds that a request looks at images for: a thread is taken meanwhile


@dataclass(frozen=True)
class Window:
    """One page of the images that are wanted.

    Attributes:
        images: With what each is called.
        number: Of the page, from 1 on.
        of: How many pages there are.
        total: How many images are wanted.
    """

    images: Sequence[tuple[DatasetImage, Call]]
    number: int
    of: int
    total: int


def dataset_of(visit: Visit) -> DatasetName:
    """Return the data set that the address names; the training one where it names none."""
    for kind in DATASET_TYPES:
        if visit.path.get("type", "train") == kind:
            return DatasetName(visit.path["project"], kind)
    raise Refusal(say("frame.no_page"), 404)


def _wanted(visit: Visit) -> Wanted:
    """Return what the query asks to see; what it spells otherwise counts for nothing."""
    show, order = visit.query.get("show", ""), visit.query.get("sort", "")
    return Wanted(
        Show(show) if show in set(Show) else Show.ALL,
        visit.query.get("name", "").strip(),
        visit.query.get("kind", ""),
        Order(order) if order in set(Order) else Order.ADDED,
    )


def _window(catalogue: Catalogue, wanted: Wanted, looked: Looked, page: str) -> Window:
    found = looked.select(catalogue, wanted)
    of = max(1, math.ceil(len(found) / A_PAGE))
    number = min(max(read_number(page) or 1, 1), of)
    shown = found[(number - 1) * A_PAGE : number * A_PAGE]
    return Window([(image, call_of(image)) for image in shown], number, of, len(found))


def _show(visit: Visit) -> Response:
    """Show a data set, or alone the part of the page that changes with what is looked at."""
    dataset = dataset_of(visit)
    described = visit.client.describe_project(ProjectName=dataset.project)["ProjectDescription"]
    kinds = {each["DatasetType"] for each in described["Datasets"]}
    facts: dict[str, Any] = {
        "project_name": dataset.project,
        "dataset": dataset,
        "kinds": kinds,
        "pipeline": visit.datasets.pipelines.find(dataset.project),
        "shortages": visit.service.images.shortages(dataset.project),
        "masks": visit.service.images.mask_faults(dataset.project),
    }
    if dataset.type not in kinds:
        return visit.show("dataset_none.html.j2", **facts)
    catalogue = visit.service.images.catalogue(dataset.project, dataset.type)
    wanted, looked = _wanted(visit), look_through(visit, dataset)
    facts |= {
        "catalogue": catalogue,
        "wanted": wanted,
        "looked": looked,
        "checks": list(Check),
        "window": _window(catalogue, wanted, looked, visit.query.get("page", "1")),
        "link": _linking(wanted, looked),
        "shows": list(Show),
        "orders": list(Order),
    }
    if visit.query.get("part") == "gallery":
        return HTMLResponse(render("dataset_gallery.html.j2", visit=visit, **facts))
    return visit.show("dataset.html.j2", **facts)


def _linking(wanted: Wanted, looked: Looked) -> Any:
    """Return what gives the query of another page of the same images."""
    asked = {
        "show": "" if wanted.show is Show.ALL else wanted.show.value,
        "name": wanted.name,
        "kind": wanted.type,
        "sort": "" if wanted.order is Order.ADDED else wanted.order.value,
        "check": looked.check or "",
    }

    def link(page: int) -> str:
        paged = asked | {"page": "" if page == 1 else str(page)}
        return "?" + urlencode({name: value for name, value in paged.items() if value})

    return link


def _choose(visit: Visit) -> Response:
    """Return all images that are wanted, over all pages, with what they are called."""
    dataset = dataset_of(visit)
    catalogue = visit.service.images.catalogue(dataset.project, dataset.type)
    chosen = look_through(visit, dataset).select(catalogue, _wanted(visit))
    found = [(str(each.id), str(call_of(each))) for each in chosen]
    return JSONResponse({"images": found})


def _examine(visit: Visit) -> Response:
    """Look at further images of the project, and say how many are known."""
    progress = visit.datasets.examining.go_on(visit.path["project"], _A_LOOK)
    done, total = f"{progress.known:,}", f"{progress.total:,}"
    going = say("checks.going", done=done, total=total)
    told = say("checks.stuck") if progress.is_stuck else going
    facts = {"known": progress.known, "whole": progress.is_whole, "failed": progress.is_stuck}
    return JSONResponse({**facts, "text": told})


def _thumbnail(visit: Visit) -> Response:
    return give_thumbnail(visit, _source(visit))


def _image(visit: Visit) -> Response:
    return give_image(visit, _source(visit))


def _source(visit: Visit) -> str:
    dataset, wanted = dataset_of(visit), ImageId.read(visit.path["image"])
    asked = [] if wanted is None else [wanted]
    for entry in visit.service.images.entries(dataset.project, dataset.type, asked).values():
        return entry.image.source
    raise Refusal(say("datasets.no_image"), 404)


def _create(visit: Visit) -> Response:
    dataset = dataset_of(visit)
    visit.client.create_dataset(ProjectName=dataset.project, DatasetType=dataset.type)
    return _go(visit, dataset)


def _delete(visit: Visit) -> Response:
    dataset = dataset_of(visit)
    if visit.form.get("name", "").strip() != dataset.project:
        raise Refusal.of_field("name", say("projects.type_its_name", name=dataset.project))
    visit.client.delete_dataset(ProjectName=dataset.project, DatasetType=dataset.type)
    return _go(visit, dataset, say("datasets.deleted"))


def _import(visit: Visit) -> Response:
    """Add what lies under a prefix of a bucket, or what a manifest names."""
    dataset = dataset_of(visit)
    listed = _find_lines(visit, dataset)
    apart = visit.datasets.imports.tell_apart(dataset.project, listed.lines)
    done = visit.datasets.editing.add(dataset, apart.lines)
    told = [say("datasets.added", count=done.changed)]
    if done.already:
        told.append(say("datasets.had", count=done.already))
    if apart.copies:
        told.append(say("datasets.copies", count=apart.copies))
    if apart.otherwise:
        told.append(say("datasets.otherwise", count=len(apart.otherwise)))
        told += apart.otherwise[:_NAMED]
    if apart.unread:
        told.append(say("datasets.unread_copies", count=apart.unread))
    if listed.others:
        told.append(say("datasets.others", count=listed.others))
    if listed.used:
        told.append(say("datasets.used", count=listed.used))
    if listed.untyped:
        told.append(say("datasets.types_dropped", count=len(listed.untyped)))
        told += [f"{path}: {reason}" for path, reason in listed.untyped[:_NAMED]]
    if done.remark:
        told.append(done.remark)
    return _go(visit, dataset, " ".join(told))


def _find_lines(visit: Visit, dataset: DatasetName) -> Listed:
    """Return the images that a form names by a prefix or by a manifest.

    Raises:
        Refusal: It names no place, or there is no image.
    """
    form, imports = visit.form, visit.datasets.imports
    field = "manifest" if "manifest" in form else "address"
    address = form.get(field, "").strip()
    check_address(field, address)
    if field == "manifest":
        listed = Listed(imports.read_manifest(address))
    else:
        used = imports.used(dataset.project, dataset)
        listed = imports.list_prefix(address, by_folder="by_folder" in form, used=used)
    if listed.lines:
        return listed
    if listed.used:
        alone = say("datasets.used_alone", address=address, count=listed.used)
        raise Refusal.of_field(field, alone)
    raise Refusal.of_field(field, say("datasets.nothing_there", address=address))


def _go(visit: Visit, dataset: DatasetName, notice: str = "") -> Response:
    return visit.go("projects", dataset.project, "datasets", dataset.type, notice=notice)


def _label(visit: Visit) -> Response:
    call = Call.read(_text(visit, "call"))
    chosen = [Seen(image, Call.read(seen)) for image, seen in _chosen(visit)]
    done = visit.datasets.editing.label(dataset_of(visit), chosen, call)
    return _told(done, say("datasets.labelled", count=done.changed))


def _remove(visit: Visit) -> Response:
    chosen = [image for image, _ in _chosen(visit)]
    done = visit.datasets.editing.remove(dataset_of(visit), chosen)
    return _told(done, say("datasets.removed", count=done.changed))


def _move(visit: Visit) -> Response:
    dataset = dataset_of(visit)
    done = visit.datasets.editing.move(dataset, [image for image, _ in _chosen(visit)])
    return _told(done, say(f"datasets.moved_to_{dataset.other.type}", count=done.changed))


def _rename(visit: Visit) -> Response:
    """Call an anomaly type otherwise."""
    project, old = visit.path["project"], visit.form.get("old", "")
    try:
        new = read_type(visit.form.get("new", ""))
    except NoCall as error:
        raise Refusal.of_field("new", error.message) from error
    done = visit.datasets.marking.rename_type(project, old, new)
    if not done.changed:
        raise Refusal.of_field("new", say("datasets.renamed_none", old=old, new=new))
    told = say("datasets.renamed", count=done.changed, old=old, new=new)
    return visit.go("projects", project, "datasets", notice=told)


def _undo(visit: Visit) -> Response:
    done = visit.datasets.editing.undo(visit.path["project"], _text(visit, "undo"))
    return _told(done, say("datasets.undone", count=done.changed))


def _told(done: Done, text: str) -> Response:
    """Return what became of a choice, in words."""
    told = [text]
    if done.already:
        told.append(say("datasets.already", count=done.already))
    if done.differing:
        told.append(say("datasets.differing", count=done.differing))
    if done.gone:
        told.append(say("datasets.gone", count=done.gone))
    if done.remark:
        told.append(done.remark)
    return JSONResponse({"text": " ".join(told), "undo": done.undo, "changed": done.changed})


def _known(visit: Visit) -> Response:
    """Say which files of a list are in the project already, and which are called otherwise.

    Of files that are the same, the first one says what an image is called.
    """
    by_folder = visit.json.get("by_folder") is True
    calls: dict[str, Call] = {}
    paths: list[tuple[str, str]] = []
    for each in _list(visit, "files"):
        facts = each if isinstance(each, dict) else {}
        digest, path = (str(facts.get(key, "")) for key in ("digest", "path"))
        paths.append((digest, path))
        calls.setdefault(digest, call_by_folder(path) if by_folder else Call(None))
    there = visit.datasets.uploads.known(visit.path["project"], calls)
    calls |= {digest: each.call for digest, each in there.items()}
    otherwise = _called_otherwise(calls, paths) if by_folder else []
    known = {digest: each.type for digest, each in there.items()}
    return JSONResponse({"known": known, "otherwise": otherwise})


def _called_otherwise(
    calls: Mapping[str, Call], files: Iterable[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Return which files lie in folders that call them something else than they are called.

    Args:
        calls: What images are called, by their digests.
        files: Digests and paths.
    """
    found = []
    for digest, path in files:
        call, there = call_by_folder(path), calls.get(digest)
        if there is not None and call.label is not None and call.label != there.label:
            words = {"here": name_call(call), "there": name_call(there)}
            found.append((path, say("datasets.folder_otherwise", **words)))
    return found


def _untyped(path: str) -> str:
    """Return why the folder below that of anomalies tells no type; "" where nothing is amiss."""
    reason = read_folders(path)[1]
    return say("datasets.type_dropped", reason=reason) if reason else ""


def _store(visit: Visit) -> Response:
    """Take one file into the bucket, or say what is wrong with it."""
    name = visit.query.get("name", "")
    try:
        stored = visit.datasets.uploads.store(dataset_of(visit), name, visit.body)
    except UnfitUpload as error:
        return JSONResponse({"refused": f"{error.message} {error.hint}".strip()})
    return JSONResponse({"digest": stored.digest, "name": stored.name})


def _add(visit: Visit) -> Response:
    """Bring files that were stored into the data set."""
    by_folder = visit.json.get("by_folder") is True
    uploads, paths = [], []
    for each in _list(visit, "files"):
        facts = each if isinstance(each, dict) else {}
        digest, name, path = (str(facts.get(key, "")) for key in ("digest", "name", "path"))
        paths.append((digest, path))
        uploads.append(Upload(digest, name, call_by_folder(path) if by_folder else Call(None)))
    dataset = dataset_of(visit)
    added = visit.datasets.uploads.add(dataset, uploads)
    done, had = added.done, {digest: each.call for digest, each in added.had.items()}
    otherwise = _called_otherwise(had, paths) if by_folder else []
    if by_folder:
        fresh = [path for digest, path in paths if digest not in had]
        otherwise += [(path, reason) for path in fresh if (reason := _untyped(path))]
    told = {"added": done.changed, "undo": done.undo, "remark": done.remark}
    return JSONResponse({**told, "otherwise": otherwise})


def _chosen(visit: Visit) -> Sequence[tuple[ImageId, str]]:
    found = []
    for each in _list(visit, "images"):
        pair = each if isinstance(each, list) and len(each) == 2 else ["", ""]
        image = ImageId.read(str(pair[0]))
        if image is None:
            raise Refusal(say("frame.no_form"))
        found.append((image, str(pair[1])))
    return found


def _list(visit: Visit, name: str) -> list[Any]:
    found = visit.json.get(name)
    if not isinstance(found, list):
        raise Refusal(say("frame.no_form"))
    return found


def _text(visit: Visit, name: str) -> str:
    found = visit.json.get(name)
    if not isinstance(found, str):
        raise Refusal(say("frame.no_form"))
    return found


_DATASETS: Final = "/projects/{project}/datasets"
_ONE: Final = f"{_DATASETS}/{{type}}"
PAGES = (
    Page("GET", _DATASETS, _show),
    Page("GET", f"{_DATASETS}/examination", _examine),
    Page("GET", _ONE, _show),
    Page("GET", f"{_ONE}/choice", _choose),
    Page("GET", f"{_ONE}/thumbnails/{{image}}", _thumbnail),
    Page("GET", f"{_ONE}/images/{{image}}", _image),
    Page("POST", f"{_DATASETS}/undo", _undo),
    Page("POST", f"{_DATASETS}/types", _rename),
    Page("POST", f"{_ONE}/create", _create),
    Page("POST", f"{_ONE}/delete", _delete),
    Page("POST", f"{_ONE}/import", _import),
    Page("POST", f"{_ONE}/label", _label, _CHOICE),
    Page("POST", f"{_ONE}/remove", _remove, _CHOICE),
    Page("POST", f"{_ONE}/move", _move, _CHOICE),
    Page("POST", f"{_ONE}/known", _known, _CHOICE),
    Page("POST", f"{_ONE}/files", _store, _FILE),
    Page("POST", f"{_ONE}/add", _add, _CHOICE),
)
