"""A job as other tools describe data sets: Croissant 1.0 (mlcommons.org/croissant/1.0), which is JSON-LD.

It names every archive with its checksum and says where image, label and index of a record are, so that a loader reads
the job without knowing Latentmill.
"""

from collections.abc import Callable
from typing import Any

from service.contract.manifest import Manifest, ManifestShard
from service.contract.recipe import MEDIA_TYPES, Format

#: Where an archive is: an address, or a name beside the card.
Locate = Callable[[ManifestShard], str]

#: Loaders know parquet by its older name.
_MEDIA_TYPES = MEDIA_TYPES | {Format.PARQUET: "application/x-parquet"}

#: The vocabulary's terms, as the specification's appendix spells them.
_PLAIN = (
    *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject"),
    *("fileSet", "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField"),
    *("path", "recordSet", "references", "regex", "repeated", "replace", "samplingRate"),
    *("separator", "source", "subField", "transform"),
)
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    **{term: f"cr:{term}" for term in _PLAIN},
}


def croissant_of(manifest: Manifest, locate: Locate, *, url: str | None = None) -> dict[str, Any]:
    """The card of a completed job. npz, which Croissant cannot read into, has its archives alone."""
    request = manifest.request
    what = f" of label {request.label}" if request.label else ""
    if request.labels:
        what = " of " + ", ".join(f"{name}: {count:,}" for name, count in request.labels.items())
    card: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"{request.decoder}-{manifest.id}",
        "description": (
            f"{request.count:,} synthetic images{what}, drawn by Latentmill from the decoder "
            f"{request.decoder}@{request.digest} with seed {request.seed} and temperature "
            f"{request.temperature_milli / 1000:g}. The same request always gives the same images."
        ),
        "identifier": manifest.recipe_digest,
        "keywords": ["synthetic", "images", request.decoder],
        # A job's images never change.
        "version": "1.0.0",
        "distribution": [_file(shard, manifest, locate) for shard in manifest.shards],
        "recordSet": [],
    }
    if url is not None:
        card["url"] = url
    if request.format in (Format.ZIP, Format.TAR):
        card["distribution"].append(_png_files(manifest))
        card["recordSet"].append(_of_png_files(manifest))
    elif request.format == Format.PARQUET:
        card["recordSet"] += [_of_table(shard, manifest) for shard in manifest.shards]
    return card


def _name(shard: ManifestShard) -> str:
    return shard.key.rpartition("/")[2]


def _file(shard: ManifestShard, manifest: Manifest, locate: Locate) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": _name(shard),
        "name": _name(shard),
        "description": f"samples {shard.start} to {shard.stop - 1}",
        "contentUrl": locate(shard),
        "contentSize": f"{shard.size_bytes} B",
        "encodingFormat": _MEDIA_TYPES[manifest.request.format],
        "sha256": shard.sha256,
    }


def _png_files(manifest: Manifest) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": "png-files",
        "containedIn": [{"@id": _name(shard)} for shard in manifest.shards],
        "encodingFormat": "image/png",
        "includes": "*.png",
    }


def _of_png_files(manifest: Manifest) -> dict[str, Any]:
    """The files' names hold the index, and in zip the label; a tar has its labels as ids beside them."""
    images = {"fileSet": {"@id": "png-files"}}
    by_name = images | {"extract": {"fileProperty": "fullpath"}}
    fields = [
        _field("images/image", "sc:ImageObject", images | {"extract": {"fileProperty": "content"}}),
        _field(
            "images/index",
            "sc:Integer",
            by_name | {"transform": {"regex": r"^(?:.*/)?([0-9]{12})\.png$"}},
        ),
    ]
    if manifest.request.format == Format.ZIP and (manifest.recipe.label or manifest.recipe.labels):
        pattern = {"transform": {"regex": r"^(?:.*/)?([^/]+)/[0-9]{12}\.png$"}}
        fields.append(_field("images/label", "sc:Text", by_name | pattern))
    return {"@type": "cr:RecordSet", "@id": "images", "name": "images", "field": fields}


def _of_table(shard: ManifestShard, manifest: Manifest) -> dict[str, Any]:
    """A record set is read from one table, so that each archive has its own."""
    name = f"images-{shard.index}"

    def column(of: str) -> dict[str, Any]:
        return {"fileObject": {"@id": _name(shard)}, "extract": {"column": of}}

    picture = column("image") | {"transform": {"jsonPath": "bytes"}}
    fields = [
        _field(f"{name}/image", "sc:ImageObject", picture),
        _field(f"{name}/index", "sc:Integer", column("index")),
    ]
    if manifest.recipe.label or manifest.recipe.labels:
        # The position in the decoder's labels: the table itself names them.
        fields.append(_field(f"{name}/label", "sc:Integer", column("label")))
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": fields}


def _field(path: str, kind: str, source: dict[str, Any]) -> dict[str, Any]:
    name = path.rpartition("/")[2]
    return {"@type": "cr:Field", "@id": path, "name": name, "dataType": kind, "source": source}
