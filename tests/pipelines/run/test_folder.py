"""A folder is made or refused in one line; a look at it leaves nothing."""

from pathlib import Path

import pytest

from pipelines.config import CONF
from pipelines.run.folder import check_folder, check_links, make_folder, remove_folders
from tasks.errors import RunError


def test_a_folder_is_made_with_its_parents_and_taken_away_again(tmp_path: Path) -> None:
    new = make_folder(tmp_path / "a/b")
    assert new == [tmp_path / "a/b", tmp_path / "a"]
    assert make_folder(tmp_path / "a/b") == []
    remove_folders(new)
    assert not list(tmp_path.iterdir())


def test_what_is_in_use_stays(tmp_path: Path) -> None:
    new = make_folder(tmp_path / "a/b")
    (tmp_path / "a/file").write_text("")
    remove_folders(new)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]


def test_a_look_leaves_nothing(tmp_path: Path) -> None:
    check_folder(tmp_path / "a/b")
    assert not list(tmp_path.iterdir())
    check_folder(tmp_path)
    assert tmp_path.is_dir()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("file", r"run_dir=.*/file is a file; name a folder"),
        ("file/run", r"run_dir=.*/file/run cannot be written: .*/file is a file"),
        ("a\0b", r"run_dir='.*' has a character that no file name may have"),
        ("/proc/none/run", r"run_dir=/proc/none/run cannot be written: .*; name another"),
    ],
)
def test_what_cannot_be_written_is_one_line(path: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=words):
        check_folder(tmp_path / path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("folder", [CONF, CONF.parent])
def test_a_folder_of_other_things_is_no_run_directory(folder: Path) -> None:
    before = (CONF / "config.yaml").read_bytes()
    with pytest.raises(RunError, match=r"run_dir=/.* has \S+, .* more, but no run; name a new folder"):
        check_folder(folder)
    assert (CONF / "config.yaml").read_bytes() == before


def test_what_a_run_or_a_plan_left_is(tmp_path: Path) -> None:
    for names in ((".lock", ".DS_Store"), ("plan.json", "tokens.html"), ("run.log", "notes.txt")):
        for name in names:
            (tmp_path / name).touch()
        check_folder(tmp_path)
    (tmp_path / "run.log").unlink()
    with pytest.raises(RunError, match=r"has notes\.txt, but no run"):
        check_folder(tmp_path)


@pytest.mark.parametrize("link", ["checkpoints", "adapter", "metrics.jsonl", "checkpoints/step-000004"])
@pytest.mark.parametrize("target", ["elsewhere", "nowhere", "../elsewhere"])
def test_a_link_that_leads_out_is_named(link: str, target: str, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "run" / link).symlink_to(target if target.startswith("..") else tmp_path / target)
    with pytest.raises(RunError, match=rf"run_dir=.*/run: {link} is a link to .*{target}, outside") as caught:
        check_links(tmp_path / "run")
    assert "\n" not in str(caught.value)


def test_a_link_to_the_folder_or_inside_it_is_none_of_these(tmp_path: Path) -> None:
    (tmp_path / "run/checkpoints/step-000001").mkdir(parents=True)
    (tmp_path / "run/latest").symlink_to("checkpoints/step-000001")
    (tmp_path / "link").symlink_to("run")
    check_links(tmp_path / "run")
    check_links(tmp_path / "link")
