"""Data sets known by name: where they are published, their checksums, and what their labels are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_lowercase, ascii_uppercase, digits

from export.datasets.download import Checksum

_DIGITS = tuple(digits)
_FILES = (
    *("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"),
    *("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"),
)


def _sums(*sha256: str, uncompressed: bool = False) -> dict[str, Checksum]:
    sums = (Checksum(text, uncompressed=uncompressed) for text in sha256)
    return dict(zip(_FILES, sums, strict=True))


@dataclass(frozen=True)
class Published:
    """IDX files on mirrors, and label names in the order of the label numbers.

    `label_sums` are sha256 sums of label files, gzipped or not, by which a folder is recognised.
    """

    name: str
    mirrors: Sequence[str]
    files: Mapping[str, Checksum]
    labels: tuple[str, ...]
    label_sums: frozenset[str]


#: LeCun, Cortes, Burges 1998. Sums of the uncompressed files: mirrors gzip them in their own ways.
MNIST = Published(
    "mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
    files=_sums(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        uncompressed=True,
    ),
    labels=_DIGITS,
    label_sums=frozenset(),  # The numbers are the names, recognised or not.
)

#: Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747. Sums of the gzip files, as TensorFlow Datasets
#: lists them (tensorflow_datasets/url_checksums/fashion_mnist.txt); the authors' repository, the
#: second mirror, holds files of the same sums.
FASHION_MNIST = Published(
    "fashion-mnist",
    mirrors=(
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    ),
    files=_sums(
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    ),
    labels=(
        *("t-shirt", "trouser", "pullover", "dress", "coat"),
        *("sandal", "shirt", "sneaker", "bag", "ankle-boot"),
    ),
    label_sums=frozenset(
        {
            # The two label files of the authors' repository, uncompressed, and as they lie there.
            "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        }
    ),
)

#: Clanuwat and others 2018, arXiv:1812.01718. Sums of the gzip files, as TensorFlow Datasets lists
#: them (tensorflow_datasets/url_checksums/kmnist.txt). One host publishes them; where TLS to it
#: fails, plain HTTP is as good, because the checksum decides.
KMNIST = Published(
    "kmnist",
    mirrors=(
        "https://codh.rois.ac.jp/kmnist/dataset/kmnist",
        "http://codh.rois.ac.jp/kmnist/dataset/kmnist",
    ),
    files=_sums(
        "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
    ),
    labels=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    label_sums=frozenset(
        {
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        }
    ),
)

IDX_SETS = {published.name: published for published in (MNIST, FASHION_MNIST, KMNIST)}

#: Cohen, Afshar, Tapson, van Schaik 2017, arXiv:1702.05373: one zip with all six splits. The sum is
#: that of tensorflow_datasets/url_checksums/emnist.txt. NIST moved the file to the first address
#: (tensorflow/datasets pull request 5401).
EMNIST_MIRRORS = (
    "https://biometrics.nist.gov/cs_links/EMNIST",
    "https://www.itl.nist.gov/iaui/vip/cs_links/EMNIST",
)
EMNIST_ZIP = {
    "gzip.zip": Checksum("fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e")
}

#: `A` and `a` would be one folder on disks that ignore case.
_LOWER = {letter: f"lower-{letter}" for letter in ascii_lowercase}
#: Where a letter's two cases look alike, they are one class under its upper-case name.
_MERGED = (*_DIGITS, *ascii_uppercase, *(_LOWER[letter] for letter in "abdefghnqrt"))

#: Label names by number. `letters` counts from 1 and merges the two cases of every letter.
EMNIST_LABELS = {
    "balanced": _MERGED,
    "bymerge": _MERGED,
    "byclass": (*_DIGITS, *ascii_uppercase, *_LOWER.values()),
    "letters": ("none", *ascii_uppercase),
    "digits": _DIGITS,
    "mnist": _DIGITS,
}
