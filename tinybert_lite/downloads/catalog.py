"""Where models, tasks, word vectors and corpora are published, with sizes and checksums.

The sources of the checksums are in docs/download.md.
"""

from dataclasses import dataclass

from tinybert_lite.data.tasks import TASKS


@dataclass(frozen=True)
class Source:
    """A published file: the same bytes at each address, tried in order.

    `members` are pairs: a file in the archive (for a plain file its own name), and our name for it.
    """

    addresses: tuple[str, ...]
    size: int  # bytes, about
    checksum: str = ""  # "sha256:…" or "md5:…"
    members: tuple[tuple[str, str], ...] = ()

    @property
    def file(self) -> str:
        """The file's name."""
        return self.addresses[0].rsplit("/", 1)[1]


@dataclass(frozen=True)
class Item:
    """An entry of the catalog: a model of the hub, or files that are made from published ones."""

    name: str
    what: str
    place: str  # relative to the workspace
    licence: str
    hub: str = ""
    size: int = 0  # of a hub's model: bytes, about
    sources: tuple[Source, ...] = ()
    maker: str = ""  # a name of `unpack.MAKERS` if files have to be made from the sources
    made: tuple[str, ...] = ()  # the names of the files that it makes

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the files in `place`, none for a model of the hub."""
        return self.made or tuple(target for source in self.sources for _, target in source.members)

    @property
    def bytes(self) -> int:
        """The approximate size of what is fetched."""
        return self.size or sum(source.size for source in self.sources)


HUB = "https://huggingface.co"
_SEE = "see-source"
_META, _GLUE = "https://dl.fbaipublicfiles.com", "https://dl.fbaipublicfiles.com/glue/data"
GLUE = ("CoLA", "SST-2", "MRPC", "STS-B", "QQP", "MNLI", "QNLI", "RTE", "WNLI", "AX")


def _task(name: str, size: int, sha256: str, archive: str = "") -> Item:
    """A task of GLUE; its zip holds a folder with the task's name."""
    splits = ("train", *TASKS[name].dev_files, *TASKS[name].test_files)
    members = tuple((f"{name}/{split}.tsv", f"{split}.tsv") for split in splits)
    return Item(
        name,
        "GLUE",
        f"glue_data/{name}",
        _SEE,
        sources=(Source((f"{_GLUE}/{archive or name}.zip",), size, f"sha256:{sha256}", members),),
    )


def _xnli(name: str) -> Item:
    language = name.removeprefix("XNLI-")
    rows = Source(
        (f"{_META}/XNLI/XNLI-MT-1.0.zip",),
        466_098_360,
        "sha256:f732517ba2fb1d550e9f3c2aabaef6017c91ee2dcec90e878f138764d224db05",
        (
            (
                f"XNLI-MT-1.0/multinli/multinli.train.{language}.tsv",
                f"multinli.train.{language}.tsv",
            ),
        ),
    )
    tests = Source(
        (f"{_META}/XNLI/XNLI-1.0.zip",),
        17_865_352,
        "sha256:4ba1d5e1afdb7161f0f23c66dc787802ccfa8a25a3ddd3b165a35e50df346ab1",
        tuple((f"XNLI-1.0/xnli.{split}.tsv", f"xnli.{split}.tsv") for split in ("dev", "test")),
    )
    return Item(name, "inference", "glue_data/XNLI", "CC-BY-NC-4.0", sources=(tests, rows))


def _glove(name: str, size: int, dimensions: tuple[int, ...], checksum: str = "") -> Item:
    file = name if len(dimensions) > 1 else f"{name}.{dimensions[0]}d"
    vectors = tuple((f"{name}.{d}d.txt",) * 2 for d in dimensions)
    addresses = tuple(
        f"https://{host}/{file}.zip"
        for host in ("nlp.stanford.edu/data", "downloads.cs.stanford.edu/nlp/data")
    )
    return Item(
        name,
        "word vectors",
        "1_pre_data",
        "PDDL-1.0",
        sources=(Source(addresses, size, checksum, vectors),),
    )


def _wikitext(number: int, size: int, sha256: str, mirror: str) -> Item:
    name = f"wikitext-{number}-raw-v1.zip"
    addresses = (
        f"https://wikitext.smerity.com/{name}",
        f"{HUB}/datasets/{mirror}/resolve/main/{name}",
        f"https://s3.amazonaws.com/research.metamind.io/wikitext/{name}",
    )  # the last one is the original address, closed in 2024
    return Item(
        f"wikitext-{number}",
        "corpus",
        "1_pre_data",
        "CC-BY-SA",
        sources=(
            Source(
                addresses,
                size,
                f"sha256:{sha256}",
                ((f"wikitext-{number}-raw/wiki.train.raw", f"wikitext-{number}.raw"),),
            ),
        ),
    )


_SENTEVAL = f"{_META}/senteval/senteval_data"
_MRPC = (
    Source(
        (f"{_SENTEVAL}/msr_paraphrase_train.txt",),
        1_047_044,
        "sha256:60a9b09084528f0673eedee2b69cb941920f0b8cd0eeccefc464a98768457f89",
    ),
    Source(
        (f"{_SENTEVAL}/msr_paraphrase_test.txt",),
        441_275,
        "sha256:a04e271090879aaba6423d65b94950c089298587d9c084bf9cd7439bd785f784",
    ),
    Source(
        (f"{_GLUE}/mrpc_dev_ids.tsv",),
        6_222,
        "sha256:971d7767d81b997fd9060ade0ec23c4fc31cbb226a55d1bd4a1bac474eb81dc7",
    ),
)
_AX = Source(
    (f"{_GLUE}/AX.tsv",),
    222_257,
    "sha256:0e13510b1bb14436ff7e2ee82338f0efb0133ecf2e73507a697dc210db3f05fd",
    (("AX.tsv", "diagnostic.tsv"),),
)
_SNLI = Source(
    ("https://nlp.stanford.edu/projects/snli/snli_1.0.zip",),
    94_550_081,
    "sha256:afb3d70a5af5d8de0d9d81e2637e0fb8c22d1235c2749d83125ca43dab0dbd3e",
    tuple(
        (f"snli_1.0/snli_1.0_{split}.txt", f"snli_1.0_{split}.txt")
        for split in ("train", "dev", "test")
    ),
)
_CHN = Source(
    ("https://bj.bcebos.com/paddlehub-dataset/chnsenticorp.tar.gz",),
    2_000_000,
    "md5:fbb3217aeac76a2840d2d5cd19688b07",
    tuple((f"chnsenticorp/{split}.tsv", f"{split}.tsv") for split in ("train", "dev", "test")),
)

ITEMS = {
    item.name: item
    for item in (
        Item(
            "bert-base-uncased",
            "teacher",
            "teacher_model",
            "Apache-2.0",
            "google-bert/bert-base-uncased",
            440_000_000,
        ),
        Item(
            "bert-base-chinese",
            "teacher, Chinese",
            "teacher_model/zh",
            "Apache-2.0",
            "google-bert/bert-base-chinese",
            412_000_000,
        ),
        Item(
            "tinybert4",
            "general student",
            "student_model",
            _SEE,
            "huawei-noah/TinyBERT_General_4L_312D",
            63_000_000,
        ),
        Item(
            "tinybert6",
            "general student",
            "student_model",
            _SEE,
            "huawei-noah/TinyBERT_General_6L_768D",
            270_000_000,
        ),
        Item(
            "tinybert4-zh",
            "general student, Chinese",
            "student_model/zh",
            _SEE,
            "huawei-noah/TinyBERT_4L_zh",
            60_000_000,
        ),
        Item(
            "tinybert6-zh",
            "general student, Chinese",
            "student_model/zh",
            _SEE,
            "huawei-noah/TinyBERT_6L_zh",
            250_000_000,
        ),
        _task("CoLA", 376_971, "f212fcd832b8f7b435fb991f101abf89f96b933ab400603bf198960dfc32cbff"),
        _task(
            "SST-2", 7_439_277, "d67e16fb55739c1b32cdce9877596db1c127dc322d93c082281f64057c16deaa"
        ),
        Item(
            "MRPC",
            "GLUE",
            "glue_data/MRPC",
            _SEE,
            sources=_MRPC,
            maker="mrpc",
            made=("train.tsv", "dev.tsv", "test.tsv"),
        ),
        _task("STS-B", 802_872, "e60a6393de5a8b5b9bac5020a1554b54e3691f9d600b775bd131e613ac179c85"),
        _task(
            "QQP",
            41_696_084,
            "40e7c862c04eb26ee04b67fd900e76c45c6ba8e6d8fab4f8f1f8072a1a3fbae0",
            "QQP-clean",
        ),
        _task(
            "MNLI", 312_783_507, "e7c1d896d26ed6caf700110645df426cc2d8ebf02a5ab743d5a5c68ac1c83633"
        ),
        _task(
            "QNLI",
            10_627_589,
            "e634e78627a29adaecd4f955359b22bf5e70f2cbd93b493f2d624138a0c0e5f5",
            "QNLIv2",
        ),
        _task("RTE", 697_150, "6bf86de103ecd335f3441bd43574d23fef87ecc695977a63b82d5efb206556ee"),
        _task("WNLI", 28_999, "ae0e8e4d16f4d46d4a0a566ec7ecceccfd3fbfaa4a7a4b4e02848c0f2561ac46"),
        Item("AX", "GLUE, diagnostic", "glue_data/AX", _SEE, sources=(_AX,)),
        Item("SNLI", "inference", "glue_data/SNLI", "CC-BY-SA-4.0", sources=(_SNLI,)),
        *(_xnli(name) for name in TASKS if name.startswith("XNLI-")),
        Item("ChnSentiCorp", "reviews, Chinese", "glue_data/ChnSentiCorp", _SEE, sources=(_CHN,)),
        _glove(
            "glove.6B", 862_182_613, (50, 100, 200, 300), "md5:056ea991adb4740ac6bf1b6d9b50408b"
        ),
        _glove("glove.42B", 1_880_000_000, (300,)),
        _glove("glove.840B", 2_180_000_000, (300,), "md5:2ffafcc9f9ae46fc8c95f32372976137"),
        _wikitext(
            2,
            4_721_645,
            "ef7edb566e3e2b2d31b29c1fdb0c89a4cc683597484c3dc2517919c615435a11",
            "ggml-org/ci",
        ),
        _wikitext(
            103,
            191_984_949,
            "91c00ae287f0d699e18605c84afc9e45c192bc6b7797ff8837e5474655a33794",
            "mattdangerw/wikitext-103-raw",
        ),
    )
}
