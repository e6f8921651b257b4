import re
import subprocess

import pytest
import torch

from cobrarec.errors import ConfigError
from cobrarec.experiments.provenance import commit, provenance


def git(folder, *words):
    identity = ["-c", "user.name=Somebody", "-c", "user.email=somebody@example.org"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def package(tmp_path):
    """A package inside a repository with results beside it."""
    folder = tmp_path / "src" / "package"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (tmp_path / "results.json").write_text("[]")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return folder


def test_the_commit_is_dirty_where_a_source_differs_and_not_where_a_result_does(package):
    clean = commit(package)
    assert re.fullmatch(r"[0-9a-f]{7,}", clean)
    (package.parents[1] / "results.json").write_text("[1]")
    assert commit(package) == clean
    (package / "__init__.py").write_text("changed = True")
    assert commit(package) == f"{clean}-dirty"


def test_where_git_does_not_know_the_package_there_is_no_commit(tmp_path, package):
    assert commit(tmp_path / "elsewhere") is None
    installed = package.parent / "installed"
    installed.mkdir()
    (installed / "__init__.py").write_text("")
    assert commit(installed) is None


def test_a_record_says_when_and_with_how_many_cores():
    found = provenance("cpu", 3)
    assert found["cores"] == 3
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", found["date"])
    assert provenance("cpu", None)["cores"] == torch.get_num_threads()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ConfigError):
        provenance("cuda", None)
