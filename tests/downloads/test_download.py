"""Fetching from a server on this machine: resumed, checked, unpacked, no user's file overwritten.

No test asks the network.
"""

from __future__ import annotations

import hashlib
import http.server
import io
import json
import subprocess
import tarfile
import threading
import urllib.request
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.makers import make_bert_folder
from tests.makers.commands import call, snapshot
from tinybert_lite import download as command
from tinybert_lite.data.corpora import read_corpora
from tinybert_lite.data.tables import read_table
from tinybert_lite.data.tasks import TASKS
from tinybert_lite.downloads import fetch, unpack
from tinybert_lite.downloads.catalog import GLUE, ITEMS, Item, Source
from tinybert_lite.models import hub as models_hub
from tinybert_lite.models.hub import local_folder
from tinybert_lite.pipeline.workspace import SHIPPED, Workspace
from tinybert_lite.system import files
from tinybert_lite.system.files import read_json

BYTES = b"PK\x03\x04" + np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()


class Files(http.server.BaseHTTPRequestHandler):
    """What `server` holds; notes each request's Range; can break off, and may know no Range."""

    def do_GET(self):
        server = self.server
        server.asked.append(self.headers.get("Range"))
        kind, body = server.files.get(self.path, (None, b""))
        if kind is None:
            return self.send_error(404)
        start, status = 0, 200
        if (
            server.ranges
            and (wanted := self.headers.get("Range"))
            and self.headers.get("If-Range") in (server.etag, None)
        ):
            start, status = int(wanted.removeprefix("bytes=").removesuffix("-")), 206
        if start >= len(body) and status == 206:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) - start))
        if server.etag:
            self.send_header("ETag", server.etag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        stop = len(body)
        if server.breaks:
            stop = start + server.breaks.pop(0)
        self.wfile.write(body[start:stop])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Files)
    found.files, found.asked, found.breaks, found.ranges, found.etag = {}, [], [], True, '"one"'
    found.base = f"http://127.0.0.1:{found.server_address[1]}"
    threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
    monkeypatch.setattr(fetch, "CHUNK", 10_000)
    monkeypatch.setenv("no_proxy", "*")
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture(autouse=True)
def no_real_network(monkeypatch):
    open_ = urllib.request.urlopen

    def only_here(request, **more):
        assert "//127.0.0.1" in request.full_url, f"a test asked for {request.full_url}"
        return open_(request, **more)

    monkeypatch.setattr(urllib.request, "urlopen", only_here)
    monkeypatch.setattr(
        models_hub, "hub_model", lambda *args, **where: pytest.fail("a test asked the hub")
    )


def published(
    server,
    body: bytes = BYTES,
    name: str = "file.zip",
    kind: str = "application/zip",
    checksum: str | None = None,
) -> Source:
    server.files[f"/{name}"] = (kind, body)
    return Source(
        (f"{server.base}/{name}",),
        len(body),
        f"sha256:{hashlib.sha256(body).hexdigest()}" if checksum is None else checksum,
    )


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_checked_and_noted(server, tmp_path):
    source = published(server)
    assert fetch.obtain(source, tmp_path).read_bytes() == BYTES
    assert left(tmp_path) == [fetch.NOTES, "file.zip"]
    note = read_json(tmp_path / fetch.NOTES)["file.zip"]
    assert note == {
        "address": source.addresses[0],
        "bytes": len(BYTES),
        "sha256": hashlib.sha256(BYTES).hexdigest(),
    }
    fetch.obtain(source, tmp_path)
    assert server.asked == [None], "a file that is there was fetched again"


def test_a_broken_connection_goes_on_where_it_broke(server, tmp_path):
    source, server.breaks = published(server), [100_000]
    assert fetch.obtain(source, tmp_path).read_bytes() == BYTES
    assert server.asked == [None, "bytes=100000-"]


@pytest.mark.parametrize("ranges", [True, False], ids=["with ranges", "without"])
def test_a_later_run_asks_only_for_the_rest_where_the_server_can(server, tmp_path, ranges):
    source, server.breaks, server.ranges = published(server), [100_000], ranges
    with pytest.raises(ConnectionError, match="100,000 of 300,004 bytes"):
        fetch.download(source.addresses[0], tmp_path / "file.zip.part", 10**9)
    assert (tmp_path / "file.zip.part").stat().st_size == 100_000 and not (
        tmp_path / "file.zip"
    ).exists()
    server.asked, server.breaks = [], []
    assert fetch.obtain(source, tmp_path).read_bytes() == BYTES
    assert server.asked == ["bytes=100000-"]


def test_a_connection_that_brings_nothing_more_is_given_up_and_its_part_kept(server, tmp_path):
    source, server.breaks = published(server), [100_000, 50_000, 0, 0, 0]
    with pytest.raises(fetch.NotFetched, match="150,000 of 300,004 bytes"):
        fetch.obtain(source, tmp_path)
    assert (tmp_path / "file.zip.part").read_bytes() == BYTES[:150_000] and len(server.asked) == 4


def test_a_file_that_changed_in_between_is_fetched_anew(server, tmp_path):
    source, server.breaks = published(server), [100_000]
    with pytest.raises(ConnectionError):
        fetch.download(source.addresses[0], tmp_path / "file.zip.part", 10**9)
    other, server.etag = BYTES[:4] + BYTES[:3:-1], '"two"'
    assert fetch.obtain(published(server, other), tmp_path).read_bytes() == other


def test_without_a_version_from_the_server_nothing_is_pieced_together(server, tmp_path):
    source, server.breaks, server.etag = published(server), [100_000], ""
    assert fetch.obtain(source, tmp_path).read_bytes() == BYTES
    assert server.asked == [None, None]


def test_another_addresss_bytes_are_not_pieced_together(server, tmp_path):
    part = published(server, BYTES[::-1], "other/file.zip")
    server.breaks = [100_000]
    with pytest.raises(ConnectionError):
        fetch.download(published(server).addresses[0], tmp_path / "file.zip.part", 10**9)
    server.files["/other/file.zip"] = ("application/zip", BYTES[:4] + BYTES[:3:-1])
    fetch.download(part.addresses[0], tmp_path / "file.zip.part", 10**9)
    assert (tmp_path / "file.zip.part").read_bytes() == BYTES[:4] + BYTES[:3:-1]


def test_a_stop_after_the_last_byte_fetches_nothing_more(server, tmp_path):
    source = published(server)
    fetch.download(source.addresses[0], tmp_path / "file.zip.part", 10**9)
    assert fetch.obtain(source, tmp_path).read_bytes() == BYTES
    assert server.asked == [None, f"bytes={len(BYTES)}-"]


def test_ctrl_c_leaves_a_part_to_go_on_from(server, tmp_path, monkeypatch):
    source = published(server)

    def stopped(chunks, *args):
        yield from (next(chunks), next(chunks))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch, "progress", stopped)
        with pytest.raises(KeyboardInterrupt):
            fetch.obtain(source, tmp_path)
    assert fetch.obtain(source, tmp_path).read_bytes() == BYTES
    assert server.asked == [None, "bytes=20000-"]


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda server: published(server, checksum="sha256:" + "0" * 64), "SHA256"),
        (lambda server: published(server, checksum="md5:" + "0" * 32), "MD5"),
        (
            lambda server: published(
                server, b"Log in", "file.tsv", kind="text/html; charset=utf-8"
            ),
            "web page",
        ),
        (lambda server: published(server, b"<html>Log in", kind="application/zip"), "web page"),
        (
            lambda server: published(
                server, b"<!DOCTYPE html><p>Log in", "file.tsv", kind="text/plain"
            ),
            "web page",
        ),
        (
            lambda server: published(server, b"\n<HTML>Log in", "file.tsv", kind="text/plain"),
            "web page",
        ),
        (lambda server: replace(published(server), addresses=(f"{server.base}/other.zip",)), "404"),
        (
            lambda server: replace(published(server, BYTES + bytes(10_500_000)), size=0),
            "larger than 10 MB",
        ),
    ],
    ids=[
        "sha256",
        "md5",
        "web page",
        "page called a zip",
        "page called text",
        "page in capitals",
        "404",
        "too large",
    ],
)
def test_what_is_not_the_file_is_removed_and_said(server, tmp_path, spoil, said):
    with pytest.raises(fetch.NotFetched, match=said):
        fetch.obtain(spoil(server), tmp_path)
    assert left(tmp_path) == []


def test_the_next_address_is_tried(server, tmp_path, capsys):
    source = published(server)
    fetch.obtain(
        replace(source, addresses=(f"{server.base}/gone/file.zip", *source.addresses)), tmp_path
    )
    assert "404" in capsys.readouterr().err


def test_a_file_without_a_published_checksum_is_compared_with_its_first_download(server, tmp_path):
    source = published(server, checksum="")
    fetch.obtain(source, tmp_path).unlink()
    fetch.obtain(source, tmp_path).unlink()
    server.files["/file.zip"] = ("application/zip", BYTES[:-1] + b"x")
    with pytest.raises(fetch.NotFetched, match="recorded in"):
        fetch.obtain(source, tmp_path)
    assert left(tmp_path) == [fetch.NOTES]


def test_a_file_put_there_by_hand_is_checked_and_kept(server, tmp_path):
    source = published(server, zipped(**{"T/train.tsv": b"rows"}), "T.zip")
    item = Item(
        "T", "", "T", "", sources=(replace(source, members=(("T/train.tsv", "train.tsv"),)),)
    )
    (tmp_path / "T.zip").write_bytes(b"PK\x03\x04 half of it")
    with pytest.raises(fetch.UserError, match="not the published file"):
        unpack.place_files(item, tmp_path, item.targets)
    assert (tmp_path / "T.zip").read_bytes() == b"PK\x03\x04 half of it"
    (tmp_path / "T.zip").write_bytes(server.files["/T.zip"][1])
    unpack.place_files(item, tmp_path, item.targets)
    assert left(tmp_path) == ["T.zip", "train.tsv"] and server.asked == []


def test_a_full_disk_is_said_before_anything_is_written(server, tmp_path, monkeypatch):
    monkeypatch.setattr(
        fetch.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1000})
    )
    with pytest.raises(fetch.UserError, match="free some space"):
        fetch.obtain(published(server), tmp_path)
    assert left(tmp_path) == []


def test_of_a_hostile_archive_only_the_wanted_member_is_written(server, tmp_path):
    body = zipped(
        **{
            "../evil": b"x",
            "/tmp/evil": b"x",
            "T/train.tsv": b"rows",
            "T/../../evil.tsv": b"x",
            "downloads.json": b"x",
        }
    )
    item = Item(
        "T",
        "",
        "T",
        "",
        sources=(replace(published(server, body), members=(("T/train.tsv", "train.tsv"),)),),
    )
    folder = tmp_path / "a" / "b"
    unpack.place_files(item, folder, item.targets)
    assert (
        left(folder) == [fetch.NOTES, "train.tsv"]
        and left(tmp_path) == ["a"]
        and left(tmp_path / "a") == ["b"]
    )
    assert (folder / "train.tsv").read_bytes() == b"rows"


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE]
)
def test_a_link_in_a_tar_is_not_followed(server, tmp_path, kind):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        link = tarfile.TarInfo("T/train.tsv")
        link.type, link.linkname = kind, "/etc/passwd"
        archive.addfile(link)
    item = Item(
        "T",
        "",
        "T",
        "",
        sources=(
            replace(
                published(server, packed.getvalue(), "T.tar.gz"),
                members=(("T/train.tsv", "train.tsv"),),
            ),
        ),
    )
    with pytest.raises(fetch.UserError, match="damaged or holds no T/train.tsv"):
        unpack.place_files(item, tmp_path, item.targets)
    assert not (tmp_path / "train.tsv").exists()


@pytest.mark.parametrize(
    "spoil, said",
    [
        (lambda body: body[:60] + b"\xff\xff\xff\xff" + body[64:], "damaged"),
        (lambda body: body[:-30], "damaged"),
        (lambda body: zipped(**{"other.tsv": b"x"}), "holds no T/train.tsv"),
    ],
    ids=["a wrong byte", "cut", "another archive"],
)
def test_a_damaged_archive_leaves_no_half_file(server, tmp_path, spoil, said):
    body = spoil(zipped(**{"T/train.tsv": np.random.default_rng(0).bytes(5000)}))
    item = Item(
        "T",
        "",
        "T",
        "",
        sources=(replace(published(server, body), members=(("T/train.tsv", "train.tsv"),)),),
    )
    with pytest.raises(fetch.UserError, match=said):
        unpack.place_files(item, tmp_path, item.targets)
    assert "train.tsv" not in left(tmp_path) and not any(
        name.endswith(".part") for name in left(tmp_path)
    )


def test_a_member_of_boundless_size_is_refused(server, tmp_path, monkeypatch):
    monkeypatch.setattr(unpack, "LARGEST_UNPACKED_BYTES", 1000)
    item = Item(
        "T",
        "",
        "T",
        "",
        sources=(
            replace(
                published(server, zipped(**{"T/train.tsv": bytes(2000)})),
                members=(("T/train.tsv", "train.tsv"),),
            ),
        ),
    )
    with pytest.raises(fetch.UserError, match="more than any published file"):
        unpack.place_files(item, tmp_path, item.targets)


def at_home(server, monkeypatch, name: str, *bodies: bytes) -> Item:
    """The item's own files, from this machine's server."""
    sources = tuple(
        replace(published(server, body, source.file), members=source.members)
        for source, body in zip(ITEMS[name].sources, bodies, strict=True)
    )
    monkeypatch.setitem(ITEMS, name, replace(ITEMS[name], sources=sources))
    return ITEMS[name]


def test_a_task_comes_into_the_layout_that_the_stages_read(server, tmp_path, monkeypatch):
    rows = b"index\tsentence1\tsentence2\tlabel\n0\tIt rains .\tIt is wet .\tentailment\n"
    files = {f"RTE/{split}.tsv": rows for split in ("train", "dev", "test")}
    at_home(server, monkeypatch, "RTE", zipped(**files, **{"RTE/original/x.txt": b"x"}))
    ran = call(f"download rte --workspace {tmp_path}")
    assert ran.code == 0, ran
    assert left(tmp_path / "glue_data/RTE") == ["dev.tsv", fetch.NOTES, "test.tsv", "train.tsv"]
    assert [
        row.text_a for row in read_table(tmp_path / "glue_data/RTE/train.tsv", TASKS["RTE"]).rows
    ] == ["It rains ."]
    ran = call(f"download RTE --workspace {tmp_path}")
    assert ran.code == 0 and "nothing is overwritten" in ran.out and len(server.asked) == 1


def test_only_what_is_missing_is_unpacked_and_keep_keeps_the_archive(server, tmp_path, monkeypatch):
    at_home(
        server,
        monkeypatch,
        "WNLI",
        zipped(**{f"WNLI/{split}.tsv": b"published" for split in ("train", "dev", "test")}),
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/dev.tsv").write_text("a user's")
    assert call(f"download WNLI --to {tmp_path}/mine --keep").code == 0
    assert (tmp_path / "mine/dev.tsv").read_text() == "a user's" and (
        tmp_path / "mine/train.tsv"
    ).read_text() == "published"
    assert "WNLI.zip" in left(tmp_path / "mine")


def test_mrpc_is_made_of_its_three_files(server, tmp_path, monkeypatch):
    header = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n"
    train = (
        header + '1\t10\t20\tHe said " no .\tHe refused .\r\n0\t11\t21\tA\tB\r\n1\t12\t22\tC\tD\r\n'
    )
    test = header + "1\t30\t40\tE\tF\r\n"
    at_home(server, monkeypatch, "MRPC", train.encode(), test.encode(), b"11\t21\r\n")
    assert call(f"download MRPC --workspace {tmp_path}").code == 0
    folder = tmp_path / "glue_data/MRPC"
    assert [
        (row.text_a, row.text_b, row.label)
        for row in read_table(folder / "train.tsv", TASKS["MRPC"]).rows
    ] == [('He said " no .', "He refused .", "1"), ("C", "D", "1")]
    assert [row.text_a for row in read_table(folder / "dev.tsv", TASKS["MRPC"]).rows] == ["A"]
    assert (
        folder / "test.tsv"
    ).read_text() == "index\t#1 ID\t#2 ID\t#1 String\t#2 String\n0\t30\t40\tE\tF\n"
    assert left(folder) == ["dev.tsv", fetch.NOTES, "test.tsv", "train.tsv"]


def test_a_tar_and_a_plain_file_are_taken_too(server, tmp_path, monkeypatch):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for split in ("train", "dev", "test"):
            member = tarfile.TarInfo(f"chnsenticorp/{split}.tsv")
            content = "label\ttext_a\n1\t很好\n".encode()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    at_home(server, monkeypatch, "ChnSentiCorp", packed.getvalue())
    at_home(server, monkeypatch, "AX", b"index\tsentence1\tsentence2\n0\tA\tB\n")
    assert call(f"download ChnSentiCorp AX --workspace {tmp_path}").code == 0
    assert [
        row.text_a
        for row in read_table(
            tmp_path / "glue_data/ChnSentiCorp/dev.tsv", TASKS["ChnSentiCorp"]
        ).rows
    ] == ["很好"]
    assert left(tmp_path / "glue_data/AX") == ["diagnostic.tsv", fetch.NOTES]


def test_word_vectors_of_one_dimension_are_unpacked(server, tmp_path, monkeypatch):
    at_home(
        server,
        monkeypatch,
        "glove.6B",
        zipped(**{f"glove.6B.{d}d.txt": b"film 1 2\n" for d in (50, 100, 200, 300)}),
    )
    assert call(f"download glove.6B --workspace {tmp_path}").code == 0
    assert left(tmp_path / "1_pre_data") == [fetch.NOTES, "glove.6B.100d.txt"]
    assert call(f"download glove.6B --dimension 300 --to {tmp_path}/other").code == 0
    assert "glove.6B.300d.txt" in left(tmp_path / "other")
    ran = call("download glove.840B --dimension 50")
    assert ran.code == 2 and "--dimension 50: glove.840B does not have it; use 300" in ran.err


def test_wikitext_is_a_corpus_as_it_comes(server, tmp_path, monkeypatch):
    raw = (
        " \n = One film = \n \n It has 1 @,@ 000 scenes . It is long . \n \n = = Plot = = \n \n"
        " Nobody knows ! \n \n"
        " = Another film = \n \n It is short . \n "
    )
    at_home(
        server, monkeypatch, "wikitext-2", zipped(**{"wikitext-2-raw/wiki.train.raw": raw.encode()})
    )
    assert call(f"download wikitext-2 --workspace {tmp_path}").code == 0
    assert list(read_corpora(Workspace.find(tmp_path).corpora)) == [
        ["It has 1,000 scenes .", "It is long .", "Nobody knows !"],
        ["It is short ."],
    ]


@pytest.fixture
def endpoint(tmp_path):
    """A hub with one model on this machine; `paths` records what it was asked for."""
    model = make_bert_folder(tmp_path / "hub", layers=1)
    (model / "tf_model.h5").write_bytes(b"another framework's")

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if "/tree/" in self.path:
                files = [
                    {
                        "type": "file",
                        "path": path.name,
                        "size": path.stat().st_size,
                        "oid": "0" * 40,
                    }
                    for path in model.iterdir()
                ]
                body = json.dumps(files).encode()
            elif self.path.startswith("/api/"):
                body = json.dumps(
                    {
                        "id": "someone/bert",
                        "sha": "0" * 40,
                        "siblings": [{"rfilename": path.name} for path in model.iterdir()],
                    }
                ).encode()
            else:
                body = (model / self.path.rsplit("/", 1)[1]).read_bytes()
            self.server.paths.append((self.command, self.path.split("?")[0].rsplit("/", 1)[1]))
            self.send_response(200)
            for name, value in {
                "Content-Length": len(body),
                "ETag": f'"{hashlib.sha256(body).hexdigest()}"',
                "X-Repo-Commit": "0" * 40,
            }.items():
                self.send_header(name, str(value))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *args):
            pass

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    found.paths, found.model, found.base = [], model, f"http://127.0.0.1:{found.server_address[1]}"
    threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.mark.parametrize(
    "weights",
    [("model.safetensors", "pytorch_model.bin"), ("model.safetensors",), ("pytorch_model.bin",)],
)
def test_huggingface_hub_brings_one_kind_of_weights_and_nothing_else(
    endpoint, tmp_path, monkeypatch, weights
):
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    for path in endpoint.model.glob("*.bin"), endpoint.model.glob("*.safetensors"):
        [found.unlink() for found in path]
    for name in weights:
        (endpoint.model / name).write_bytes(name.encode() * 1000)
    monkeypatch.setattr(
        models_hub,
        "hub_model",
        lambda name, **where: HUB_MODEL(name, endpoint=endpoint.base, **where),
    )
    ran = call(f"download someone/bert --to {tmp_path}/mine")
    assert ran.code == 0, ran
    assert left(tmp_path / "mine") == ["config.json", weights[0], "vocab.txt"]
    assert (tmp_path / "mine" / weights[0]).read_bytes() == weights[0].encode() * 1000
    assert {name for verb, name in endpoint.paths if verb == "GET" and "." in name} == {
        "config.json",
        weights[0],
        "vocab.txt",
    }


def test_a_model_in_the_hubs_cache_is_found_without_a_network(endpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with monkeypatch.context() as online:
        online.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        found = HUB_MODEL("someone/bert", endpoint=endpoint.base, cache_dir=tmp_path / "cache")
    endpoint.paths.clear()
    assert HUB_MODEL("someone/bert", endpoint=endpoint.base, cache_dir=tmp_path / "cache") == found
    assert {"config.json", "pytorch_model.bin"} <= set(left(found)) and endpoint.paths == []


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """huggingface_hub answered from a folder; requests are recorded, `stop` is raised midway."""
    import fnmatch

    import huggingface_hub

    model = make_bert_folder(tmp_path / "hub", layers=1)
    for name in ("tf_model.h5", "flax_model.msgpack", "README.md", "tokenizer.json"):
        (model / name).write_text("{}")

    def snapshot_download(name, allow_patterns, local_dir, etag_timeout):
        snapshot_download.asked.append((name, allow_patterns))
        (local_dir / ".cache").mkdir(exist_ok=True)
        for path in sorted(model.iterdir()):
            if any(fnmatch.fnmatch(path.name, pattern) for pattern in allow_patterns):
                (local_dir / path.name).write_bytes(path.read_bytes())
                if snapshot_download.stop:
                    raise snapshot_download.stop
        return str(local_dir)

    snapshot_download.asked, snapshot_download.stop, snapshot_download.model = [], None, model
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    monkeypatch.setattr(models_hub, "hub_model", HUB_MODEL)
    return snapshot_download


HUB_MODEL = models_hub.hub_model


@pytest.mark.parametrize(
    "name, asked, place",
    [
        ("bert-base-uncased", "google-bert/bert-base-uncased", "teacher_model"),
        ("bert-base-chinese", "google-bert/bert-base-chinese", "teacher_model/zh"),
        ("tinybert4", "huawei-noah/TinyBERT_General_4L_312D", "student_model"),
        ("tinybert6-zh", "huawei-noah/TinyBERT_6L_zh", "student_model/zh"),
        ("someone/some-bert", "someone/some-bert", "teacher_model"),
    ],
)
def test_a_model_becomes_a_plain_folder_of_what_the_stages_read(hub, tmp_path, name, asked, place):
    ran = call(f"download {name} --workspace {tmp_path}/ws")
    assert ran.code == 0, ran
    assert {model for model, _ in hub.asked} == {asked}
    weights = (
        "model.safetensors" if (hub.model / "model.safetensors").is_file() else "pytorch_model.bin"
    )
    assert left(tmp_path / "ws" / place) == sorted(
        ["config.json", weights, "tokenizer.json", *(p.name for p in hub.model.glob("vocab.txt"))]
    )


def test_safetensors_are_preferred_and_the_other_kind_is_not_fetched(hub, tmp_path):
    for name in ("model.safetensors", "pytorch_model.bin"):
        (hub.model / name).write_bytes(b"weights")
    call(f"download tinybert4 --workspace {tmp_path}/ws")
    assert "model.safetensors" in left(
        tmp_path / "ws/student_model"
    ) and "pytorch_model.bin" not in left(tmp_path / "ws/student_model")
    assert len(hub.asked) == 1


@pytest.mark.parametrize(
    "own", ["config.json", "pytorch_model.bin", "model.safetensors", "vocab.txt"]
)
def test_a_users_model_is_never_overwritten(hub, tmp_path, own):
    (tmp_path / "ws/teacher_model").mkdir(parents=True)
    (tmp_path / "ws/teacher_model" / own).write_text("a user's")
    before = snapshot(tmp_path / "ws")
    ran = call(f"download bert-base-uncased --workspace {tmp_path}/ws")
    assert (
        ran.code == 2
        and f"holds {own} already" in ran.err
        and "--to" in ran.err
        and ran.err.count("\n") == 1
    )
    assert snapshot(tmp_path / "ws") == before and hub.asked == []
    assert call(f"download bert-base-uncased --to {tmp_path}/elsewhere").code == 0


@pytest.mark.parametrize(
    "stop, code", [(KeyboardInterrupt(), 130), (ConnectionError("no network"), 2)]
)
def test_half_a_model_is_never_seen(hub, tmp_path, monkeypatch, stop, code):
    hub.stop = stop
    folder = tmp_path / "ws/teacher_model"
    assert call(f"download bert-base-uncased --workspace {tmp_path}/ws").code == code
    assert [path for path in folder.iterdir() if path.is_file()] == []
    hub.stop, placed = None, []
    monkeypatch.setattr(
        files,
        "replace_file",
        lambda source, target: (placed.append(target.name), source.replace(target)),
    )
    assert call(f"download bert-base-uncased --workspace {tmp_path}/ws").code == 0
    assert len(placed) > 2 and placed[-1] == "config.json", (
        "a folder without weights would have been taken for a model"
    )
    assert not any(path.is_dir() for path in folder.iterdir())


def test_a_hub_that_answers_with_less_than_a_model_is_said(hub, tmp_path):
    (hub.model / "config.json").unlink()
    ran = call(f"download bert-base-uncased --workspace {tmp_path}/ws")
    assert (
        ran.code == 2 and "the configuration, the vocabulary or the weights are missing" in ran.err
    )


def test_a_hub_name_on_other_command_lines_goes_the_same_way(monkeypatch, tmp_path):
    monkeypatch.setattr(models_hub, "hub_model", lambda name: tmp_path / name)
    assert local_folder("someone/some-bert").path == tmp_path / "someone/some-bert"


def test_a_chinese_student_serves_chinese_tasks_alone(tmp_path):
    for place in ("student_model", "student_model/zh"):
        make_bert_folder(tmp_path / place, layers=1)
    assert (
        Workspace.find(tmp_path, "ChnSentiCorp").student_source.path
        == tmp_path / "student_model/zh"
    )
    assert Workspace.find(tmp_path, "SST-2").student_source.path == tmp_path / "student_model"


@pytest.mark.parametrize("name", ITEMS)
def test_without_a_network_every_item_says_what_belongs_where(name, tmp_path, monkeypatch):
    def refused(*args, **more):
        raise urllib.request.URLError("no network")

    monkeypatch.setattr(urllib.request, "urlopen", refused)
    monkeypatch.setattr(models_hub, "hub_model", refused)
    item = ITEMS[name]
    ran = call(f"download {name} --workspace {tmp_path}")
    assert ran.code == 2 and ran.err.startswith(f"error: {name}: ") and ran.err.count("\n") == 1
    folder = tmp_path / item.place
    if item.hub:
        wanted = [
            f"https://huggingface.co/{item.hub}/resolve/main/config.json as {folder}/config.json"
        ]
    else:
        wanted = [f"{source.addresses[-1]} as {folder / source.file}" for source in item.sources]
    assert all(text in ran.err for text in wanted), ran.err


def test_the_list_names_everything_with_size_licence_and_place():
    said = call("download --list").out
    for item in ITEMS.values():
        if not item.name.startswith("XNLI-") or item.name == "XNLI-zh":
            row = next(line for line in said.splitlines() if line.split()[0] == item.name)
            assert (
                item.licence in row
                and item.place in row
                and (item.hub or item.sources[0].addresses[0]) in row
            )
        assert item.name in said and item.bytes > 0 and " " not in item.licence


@pytest.mark.parametrize(
    "line, named",
    [
        ("", "--list"),
        ("bert-base-uncase", "nearest is bert-base-uncased"),
        ("RTE AX --to here", "--to here"),
        ("../models/bert", "nearest"),
        ("glove.6B --dimension 64", "50, 100, 200, 300"),
    ],
)
def test_a_mistake_is_one_sentence(line, named):
    ran = call(f"download {line}")
    assert ran.code == 2 and named in ran.err and ran.err.count("\n") == 1


def test_the_table_is_whole():
    for item in ITEMS.values():
        assert (
            bool(item.hub) != bool(item.sources)
            and (item.hub or item.targets)
            and not (item.maker and item.maker not in unpack.MAKERS)
        )
        for source in item.sources:
            kind, _, digest = source.checksum.partition(":")
            assert not kind or len(bytes.fromhex(digest)) == {"sha256": 32, "md5": 16}[kind]
            assert all(
                address.startswith("https://") and address.endswith(f"/{source.file}")
                for address in source.addresses
            )
            assert all("/" not in target for _, target in source.members)
    assert [
        name
        for name in ITEMS
        if not ITEMS[name].hub and not any(source.checksum for source in ITEMS[name].sources)
    ] == ["glove.42B"]
    for name in {*GLUE, "SNLI", "XNLI-zh", "ChnSentiCorp"}:
        task, home = TASKS[name], Path(ITEMS[name].place)
        named = dict(task.other_files)
        splits = [*(["train"] if task.dev_files else []), *task.dev_files, *task.test_files]
        assert set(ITEMS[name].targets) == {
            named.get(split, f"{split}.tsv") if name != "AX" else "diagnostic.tsv"
            for split in splits
        }, name
        assert home.name == name.split("-zh")[0]


def test_nothing_that_is_fetched_can_be_committed():
    paths = [
        f"{item.place}/{name}"
        for item in ITEMS.values()
        for name in (
            *item.targets,
            *(
                source.file + more
                for source in item.sources
                for more in ("", ".part", ".part.json")
            ),
            fetch.NOTES,
        )
    ]
    paths += [
        f"{item.place}/{name}"
        for item in ITEMS.values()
        if item.hub
        for name in ("config.json", "vocab.txt", "model.safetensors", "x.part/config.json")
    ]
    found = subprocess.run(
        ["git", "-C", str(SHIPPED), "check-ignore", "--stdin"],
        input="\n".join(paths),
        capture_output=True,
        text=True,
    )
    if found.returncode == 128:
        pytest.skip("not a git repository")
    assert sorted(set(paths) - set(found.stdout.splitlines())) == []


def test_the_words_of_the_page_fit_the_table():
    page = (SHIPPED / "docs/download.md").read_text(encoding="utf-8")
    assert all(
        f"`{name}`" in page for name in ITEMS if not name.startswith("XNLI-") or name == "XNLI-zh"
    )
    assert json.dumps(command.DIMENSION) in page
