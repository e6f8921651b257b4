"""The calls in docs/serving.md, word by word against a server."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from small_server import over_loopback

from cobrarec import pipeline
from cobrarec.data.sources import predictable_world
from small_run import small_config, with_short_ids

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"
BLOCK = re.compile(r"<!-- runs against a server -->\n```(\w+)\n(.*?)```", re.DOTALL)
HERE = "http://127.0.0.1:8000"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_every_call_of_the_page_is_answered(tmp_path, capsys):
    items, interactions = (with_short_ids(table) for table in predictable_world(num_users=60, num_items=48))
    pipeline.fit(items, interactions, tmp_path / "run", small_config(training={"num_epochs": 1}))
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert [language for language, _ in blocks].count("python") == 1
    with over_loopback(tmp_path / "run" / "artifact") as (url, _):
        for language, text in blocks:
            text = text.replace(HERE, url)
            if language == "python":
                exec(compile(text, str(PAGE), "exec"), {})
                assert capsys.readouterr().out.splitlines()[1] == "48"
                continue
            for line in text.splitlines():
                words = shlex.split(line)
                done = subprocess.run([*words, "--fail-with-body"], capture_output=True, text=True, check=False)
                assert words[0] == "curl"
                assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
