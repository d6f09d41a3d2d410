import pytest

from pocketgan.training.log import Log, read_log


def test_lines(tmp_path):
    log = Log(tmp_path / "log.jsonl", 0)
    log.write(step=1, loss=0.5)
    log.write(step=2, loss=0.25)
    assert read_log(tmp_path / "log.jsonl") == [{"step": 1, "loss": 0.5}, {"step": 2, "loss": 0.25}]


def test_resuming_drops_what_will_be_written_again(tmp_path):
    path = tmp_path / "log.jsonl"
    log = Log(path, 0)
    for step in range(1, 6):
        log.write(step=step)
    Log(path, 3).write(step=4, again=True)
    assert read_log(path) == [{"step": 1}, {"step": 2}, {"step": 3}, {"step": 4, "again": True}]
    Log(path, 0)
    assert read_log(path) == []


def test_half_a_line_at_the_end(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2, "lo')
    assert read_log(path) == [{"step": 1}]
    Log(path, 1).write(step=2)
    assert read_log(path) == [{"step": 1}, {"step": 2}]


def test_dropping_lines_never_loses_the_others(tmp_path, monkeypatch):
    """A process that is killed meanwhile leaves the log as it was."""
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n')

    def killed(source, target):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        Log(path, 1)
    assert read_log(path) == [{"step": 1}, {"step": 2}]
