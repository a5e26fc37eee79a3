"""Tests of the queue on disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trading_exporter._spill import Line, Spill


def line(n: int, size: int = 10) -> Line:
    return Line(1_795_357_800 + n, b'{"n":%d,"x":"%s"}' % (n, b"x" * size))


def drain(spill: Spill, count: int = 7) -> list[bytes]:
    out: list[bytes] = []
    while lines := spill.peek(count):
        out += [each.json for each in lines]
        spill.advance(len(lines))
    return out


def test_lines_are_returned_in_order(tmp_path: Path) -> None:
    spill = Spill(str(tmp_path), 1 << 20)
    assert spill.empty()
    expect = [line(n).json for n in range(100)]
    for n in range(60):
        assert spill.append(line(n))
    assert [each.json for each in spill.peek(5)] == expect[:5]
    spill.advance(5)
    for n in range(60, 100):
        assert spill.append(line(n))
    assert spill.peek(3)[0].born == line(5).born
    assert drain(spill) == expect[5:]
    assert spill.empty()
    assert spill.bytes_waiting == 0
    assert spill.append(line(7))
    assert drain(spill) == [line(7).json]
    spill.close()
    assert os.listdir(tmp_path) == []


def test_its_size_is_bounded(tmp_path: Path) -> None:
    spill = Spill(str(tmp_path), 10_000)
    kept = 0
    while spill.append(line(kept, 100)):
        kept += 1
    assert 50 < kept < 100
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) <= 10_100
    spill.advance(len(spill.peek(10)))
    assert len(drain(spill)) == kept - 10


def test_lines_of_a_dead_process_are_sent_once(tmp_path: Path) -> None:
    first = Spill(str(tmp_path), 1 << 20)
    for n in range(20):
        first.append(line(n))
    first.peek(8)
    first.advance(8)
    second, third = Spill(str(tmp_path), 1 << 20), Spill(str(tmp_path), 1 << 20)
    assert second.adopt() == 0, "the first one lives"
    first.close()
    assert second.adopt() == 1
    assert third.adopt() == 0, "the second one has it"
    assert second.append(line(99))
    assert not second.head_is_own()
    assert drain(second) == [line(n).json for n in range(8, 20)] + [line(99).json]
    assert second.head_is_own()
    second.close()
    assert os.listdir(tmp_path) == []


def test_long_lines_between_short_ones_are_returned(tmp_path: Path) -> None:
    spill = Spill(str(tmp_path), 1 << 20)
    lines = [line(n, size) for n, size in enumerate([10, 40_000, 10, 200_000, 16_000, 17_000, 10])]
    assert all(spill.append(each) for each in lines)
    assert drain(spill, 2) == [each.json for each in lines]
    assert spill.torn == 0


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_an_incomplete_end_is_skipped_and_counted(tmp_path: Path, cut: int) -> None:
    spill = Spill(str(tmp_path), 1 << 20)
    for n in range(10):
        spill.append(line(n))
    spill.close()
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-cut])
    other = Spill(str(tmp_path), 1 << 20)
    assert other.adopt() == 1
    assert drain(other) == [line(n).json for n in range(9)]
    assert other.torn == 1


def test_garbage_is_skipped_and_counted(tmp_path: Path) -> None:
    spill = Spill(str(tmp_path), 1 << 20)
    for n in range(4):
        spill.append(line(n))
    spill.close()
    (path,) = tmp_path.iterdir()
    lines = path.read_bytes().split(b"\n")
    lines[1:1] = [b"garbage"]
    lines[3:3] = [b"\0\0\0"]
    path.write_bytes(b"\n".join(lines))
    other = Spill(str(tmp_path), 1 << 20)
    other.adopt()
    assert drain(other, 2) == [line(n).json for n in range(4)]
    assert other.torn == 2


def test_a_partial_write_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spill = Spill(str(tmp_path), 1 << 20)
    spill.append(line(1))
    whole = os.pwrite

    def half(fd: int, data: bytes, offset: int) -> int:
        return whole(fd, data[: len(data) // 2], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", half)
        with pytest.raises(OSError, match="only a part"):
            spill.append(line(2))
    assert spill.append(line(3))
    assert drain(spill) == [line(1).json, line(3).json]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "secret"
    target.write_text("# sent 00000000000000000000\n1 {}\n")
    folder = tmp_path / "spill"
    folder.mkdir()
    (folder / "x.ndjson").symlink_to(target)
    assert Spill(str(folder), 1 << 20).adopt() == 0
    assert target.exists()
