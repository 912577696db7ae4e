"""VGGish from the files of torchvggish's release, here served on loopback."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from m3ser.encoders import VGGish, published  # noqa: E402
from m3ser.encoders.published import PublishedFile, fetch, read_vggish_pca  # noqa: E402
from m3ser.errors import CheckpointError, DownloadError  # noqa: E402

EIGEN_VECTORS = np.random.default_rng(0).normal(size=(128, 128))
MEANS = np.random.default_rng(1).normal(size=128)


def write_pca(path: Path, *, numpy_1: bool = False) -> None:
    """The release's layout: NumPy arrays of doubles, in the format that torch.save had in 2019."""
    arrays = {"pca_eigen_vectors": EIGEN_VECTORS, "pca_means": MEANS}
    torch.save(arrays, path, _use_new_zipfile_serialization=False)
    if numpy_1:
        content = path.read_bytes().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
        assert b"numpy.core.multiarray" in content
        path.write_bytes(content)


@pytest.fixture(scope="module")
def release(tmp_path_factory) -> Path:
    """A folder with the PCA."""
    folder = tmp_path_factory.mktemp("release")
    write_pca(folder / "pca.pth", numpy_1=True)
    return folder


@pytest.fixture(scope="module")
def weights(vggish, release) -> Iterator[Path]:
    """The network's file, with random weights, in the same folder."""
    path = release / "vggish.pth"
    torch.save(vggish.state_dict(), path)
    yield path
    path.unlink()  # 288 MB


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Site(SimpleHTTPRequestHandler):
    """Serves a folder; of the first `cuts` answers only the beginning."""

    requests: list[str]
    cuts: int

    def do_GET(self) -> None:
        self.requests.append(self.path)
        super().do_GET()

    def copyfile(self, source, outputfile) -> None:
        if type(self).cuts:
            type(self).cuts -= 1
            outputfile.write(source.read(10_000))
        else:
            super().copyfile(source, outputfile)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def site(release, monkeypatch) -> Iterator[type[Site]]:
    """The release on loopback, in the place of the real one."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr("m3ser.download._PAUSE", 0.001)
    handler = type("Handler", (Site,), {"requests": [], "cuts": 0})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=release)) as server:
        handler.url = f"http://127.0.0.1:{server.server_address[1]}"
        pca = PublishedFile("pca.pth", f"{handler.url}/", sha256(release / "pca.pth")[:8])
        monkeypatch.setattr(published, "VGGISH_PCA", pca)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield handler
        server.shutdown()
        thread.join()


def test_the_release_is_torchvggishs():
    torchvggish = pytest.importorskip("torchvggish.torchvggish")
    files = published.VGGISH_WEIGHTS, published.VGGISH_PCA
    urls = [f"{file.base_url}/{file.name}" for file in files]
    assert urls == [torchvggish.VGGISH_WEIGHTS, torchvggish.PCA_PARAMS]
    # torch.hub's convention: NAME-HASH.pth
    assert all(Path(file.name).stem.endswith(f"-{file.sha256}") for file in files)


@pytest.mark.slow
def test_the_release_is_fetched_resumed_checked_and_kept(site, weights, vggish, tmp_path, monkeypatch):
    file = PublishedFile(weights.name, site.url, sha256(weights)[:8])
    monkeypatch.setattr(published, "VGGISH_WEIGHTS", file)
    site.cuts = 1
    found = VGGish.from_published(postprocess=True, cache_dir=tmp_path)
    for name, value in vggish.state_dict().items():
        assert torch.equal(found.state_dict()[name], value)
    np.testing.assert_allclose(found.pproc.pca_eigen_vectors.numpy(), EIGEN_VECTORS, rtol=1e-6)
    np.testing.assert_allclose(found.pproc.pca_means.numpy(), MEANS, rtol=1e-6)
    assert all(parameter.requires_grad and not parameter.is_meta for parameter in found.parameters())
    assert site.requests == ["/vggish.pth", "/vggish.pth", "/pca.pth"]
    VGGish.from_published(postprocess=True, cache_dir=tmp_path)
    assert len(site.requests) == 3
    assert not list(tmp_path.glob("*.part"))
    (tmp_path / "vggish.pth").unlink()  # 288 MB


def test_a_file_of_another_hash_is_refused(site, tmp_path, monkeypatch):
    monkeypatch.setattr(published, "VGGISH_WEIGHTS", PublishedFile("pca.pth", site.url, "00000000"))
    with pytest.raises(DownloadError, match="not the file that was published"):
        VGGish.from_published(cache_dir=tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_a_file_that_is_gone_is_named(site, tmp_path, monkeypatch):
    monkeypatch.setattr(published, "VGGISH_WEIGHTS", PublishedFile("gone.pth", site.url, "00000000"))
    with pytest.raises(DownloadError, match=r"gone\.pth cannot be fetched: the server answered 404"):
        VGGish.from_published(cache_dir=tmp_path)


def test_a_mirror_is_asked_in_place_of_the_release(site, tmp_path):
    file = PublishedFile("pca.pth", "http://127.0.0.1:9/nowhere", published.VGGISH_PCA.sha256)
    assert fetch(file, cache_dir=tmp_path, base_url=site.url + "/") == tmp_path / "pca.pth"
    assert site.requests == ["/pca.pth"]


def test_the_cache_is_m3sers(site, tmp_path, monkeypatch):
    monkeypatch.setenv("M3SER_CACHE", str(tmp_path))
    assert fetch(published.VGGISH_PCA) == tmp_path / "weights" / "pca.pth"


def test_local_files_are_taken(weights, release, vggish):
    found = VGGish.from_published(postprocess=True, weights_file=weights, pca_file=str(release / "pca.pth"))
    assert all(torch.equal(found.state_dict()[name], value) for name, value in vggish.state_dict().items())
    example = torch.rand(1, 96, 64)
    with torch.no_grad():
        assert torch.equal(found(example), found.pproc(vggish(example)))


def test_a_local_file_of_something_else_is_named(tmp_path):
    torch.save({"weight": torch.ones(2)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"other\.pth do not fit VGGish: missing: features\.0\.weight"):
        VGGish.from_published(weights_file=tmp_path / "other.pth")


@pytest.mark.parametrize("numpy_1", [True, False])
def test_the_pca_is_read_whichever_numpy_saved_it(tmp_path, numpy_1):
    write_pca(tmp_path / "pca.pth", numpy_1=numpy_1)
    eigen_vectors, means = read_vggish_pca(tmp_path / "pca.pth")
    assert eigen_vectors.dtype == means.dtype == torch.float32
    np.testing.assert_allclose(eigen_vectors.numpy(), EIGEN_VECTORS, rtol=1e-6)
    np.testing.assert_allclose(means.numpy(), MEANS, rtol=1e-6)


def test_the_pca_may_be_tensors_with_means_in_a_column(tmp_path):
    arrays = {"pca_eigen_vectors": torch.from_numpy(EIGEN_VECTORS), "pca_means": torch.from_numpy(MEANS[:, None])}
    torch.save(arrays, tmp_path / "pca.pth")
    _, means = read_vggish_pca(tmp_path / "pca.pth")
    np.testing.assert_allclose(means.numpy(), MEANS, rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([1], "holds list; expected arrays"),
        ({}, "holds nothing; expected arrays"),
        ({"pca_means": MEANS}, "holds pca_means; expected arrays"),
        ({"pca_eigen_vectors": EIGEN_VECTORS, "pca_means": 3}, "expected arrays"),
        ({"pca_eigen_vectors": EIGEN_VECTORS[:5], "pca_means": MEANS}, r"\(5, 128\) and \(128,\); expected"),
        ({"pca_eigen_vectors": EIGEN_VECTORS, "pca_means": MEANS[:5]}, r"\(128, 128\) and \(5,\); expected"),
    ],
)
def test_another_pca_is_refused(tmp_path, content, words):
    torch.save(content, tmp_path / "pca.pth")
    with pytest.raises(CheckpointError, match=words):
        read_vggish_pca(tmp_path / "pca.pth")


class Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_that_arrays_are_allowed_lets_no_code_in(tmp_path):
    arrays = {"pca_eigen_vectors": EIGEN_VECTORS, "pca_means": Trap(tmp_path / "sprung")}
    torch.save(arrays, tmp_path / "pca.pth", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="is refused"):
        read_vggish_pca(tmp_path / "pca.pth")
    assert not (tmp_path / "sprung").exists()
