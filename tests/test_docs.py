"""The commands of the documentation are run, page by page, in the order in which they are there.

A page has a folder of its own, and what it takes for granted (SCENERY) is made before. Commands in blocks of
`sh` and `console` are run, and those in the text where they are whole; a server is started where a command
says that none runs. Addresses become those of loopback, and folders such as /etc become folders of the test.
Commands that cannot be run here are in ELSEWHERE, with the reason; all others have to succeed.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import typer
from certificates import self_signed
from forked import Forked
from programs import program

from blfd.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(path for path in ROOT.glob("docs/*.md") if path.name != "commands.md"), ROOT / "README.md"]
PARTS = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$|`(blfd [^`]+)`", re.M | re.S)
LANGUAGES = {"sh", "console", "toml", "text", "ini", "xml", "jinja", "python", "mermaid"}
PREFIX = re.compile(r"^(?:podman exec blfd |sudo -u blfd )?(?:\S*/bin/)?(?=blfd )")
SHELL = ("openssl", "curl", "printf", "TOKEN=", "A=", "API=", "install")

BY_CI = "needs a package index: .ci/run does it"
OF_ROOT = "changes the machine, as root"
ELSEWHERE = {  # the beginnings of commands that are not run here, and why
    "make ": "it is what runs these tests, or has a test of its own",
    "python3 -m venv": BY_CI,
    "python -m venv": BY_CI,
    "python -m pip": BY_CI,
    ".venv/bin/pip": BY_CI,
    "/opt/blfd/bin/pip": BY_CI,
    "/tmp/try/bin/pip": BY_CI,
    ". .venv/bin/activate": BY_CI,
    "useradd": OF_ROOT,
    "systemctl": OF_ROOT,
    "fail2ban-client": OF_ROOT,
    "podman build": "needs an image from a registry",
    "podman run": "needs an image from a registry",
    "blfd pjsip install": "changes this environment: .ci/run does it, and tests/test_pjsip_wheel.py",
    "blfd --install-completion": "changes the user's shell: see tests/test_cli_completion.py",
    "blfd demo": "tests/e2e/test_demo.py runs it",
    "blfd lamps --watch": "has no end: tests/test_cli_live.py runs it",
    "blfd run --pnp": "listens on a port of all the machine: tests/e2e/test_pnp.py runs it",
}
PASSPHRASE = "a-long-passphrase"
GIVEN = {  # options in the place of what is typed at a terminal
    "blfd admin add": f"--password {PASSPHRASE}",
    "blfd restore": "--yes",
    "blfd device renew MAC": "--yes",
    "blfd provision template unset yealink": "--yes",
    "curl -sN": "--max-time 1",
}
WORDS = {
    "MAC": "80:5e:c0:12:34:56",
    "NAME": "carrier",
    "DIR": "written",
    "FILE": "saved.db",
    "FILE.csv": "extensions.csv",
    "FILE.j2": "own.j2",
    "...": "s3cret",
}
ADDRESSES = {r"\b192\.0\.2\.": "127.0.2.", r"\b10\.0\.0\.5\b": "127.0.0.5", r"0\.0\.0\.0:\d+": "127.0.0.1:0"}
FOLDERS = re.compile(r"(?<![\w.])/(?=etc/|var/|opt/|tmp/)")
AT_WEB = "127.0.0.1:8088"


def extensions(*numbers: str) -> list[str]:
    return [f"blfd extension add {number} --password x --name 'Somebody {number}'" for number in numbers]


PHONE = "blfd device add 80:5e:c0:12:34:56 --model yealink/t54w --extension 102"
CARRIER = "blfd trunk add carrier --server 192.0.2.1"
SCENERY = {  # what a page takes for granted
    "README.md": extensions("103"),
    "api.md": extensions("101", "102"),
    "beside.md": [*extensions("102"), CARRIER],
    "calls.md": extensions("102"),
    "cli.md": [
        *extensions("102", "103", "104", "108", "109", "110"),
        "blfd trunk add backup --server 192.0.2.1",
    ],
    "operation.md": [*extensions("102"), PHONE],
    "phones.md": [*extensions("102"), PHONE],
    "provisioning.md": extensions("101", "102", "103", "104"),
    "trunks.md": [*extensions("100"), *(CARRIER.replace("carrier", name) for name in ("first", "second"))],
    "tls.md": [*extensions("102"), PHONE],
    "upstream.md": extensions("102"),
}


class Command(NamedTuple):
    line: str
    in_text: bool


def commands(text: str) -> Iterator[Command]:
    for _, language, block, in_text in PARTS.findall(text):
        if in_text:
            yield Command(" ".join(in_text.split()), True)
        elif language in ("sh", "console"):
            lines = [line.strip() for line in block.replace("\\\n", " ").splitlines()]
            if language == "console":
                lines = [line[2:] for line in lines if line.startswith("$ ")]
            for line in lines:
                yield from (
                    Command(part, False) for part in line.split("  # ")[0].strip().split(" && ") if part
                )


def test_each_command_that_is_not_run_is_in_some_page() -> None:
    lines = [command.line for page in PAGES for command in commands(page.read_text())]
    assert len(lines) > 200
    for begins in ELSEWHERE:
        assert any(begins in line for line in lines), begins


def test_every_block_says_what_it_is() -> None:
    for page in PAGES:
        text = page.read_text()
        assert {language for _, language, _, in_text in PARTS.findall(text) if not in_text} <= LANGUAGES, page
        assert not re.search(r"^\n    \S", PARTS.sub("", text), re.M), f"{page} has an indented block"


class Reader:
    """A reader who does what a page says, in a folder of its own."""

    def __init__(self, folder: Path, forked: Forked) -> None:
        self.folder, self._forked, self._done = folder, forked, set[str]()
        self._server = 0
        self._web = AT_WEB
        self._variables: list[str] = []
        self._environment = {**os.environ, "COLUMNS": "120", "BLFD_LISTEN": "udp:127.0.0.1:0,tcp:127.0.0.1:0"}
        (folder / "contrib").symlink_to(ROOT / "contrib")
        for each in (
            "etc/blfd",
            "etc/systemd/system",
            "etc/fail2ban/filter.d",
            "etc/fail2ban/jail.d",
            "var/lib/blfd",
        ):
            (folder / each).mkdir(parents=True)
        (folder / "extensions.csv").write_text("extension,password,name\n105,x,Eve\n")
        (folder / "phones.csv").write_text("extension,password,name\n105,x,Eve\n")
        (folder / "devices.csv").write_text("mac,model,extensions,keys\n805ec0000001,yealink/t54w,102,team\n")
        own = self_signed(folder, "own")
        own.certificate.rename(folder / "etc/blfd/fullchain.pem")
        own.key.rename(folder / "etc/blfd/privkey.pem")
        (folder / "own.j2").write_text("#!version:1.0.0.1\n")

    def configure(self, block: str) -> None:
        (self.folder / "blfd.toml").write_text(self.here(block))
        self._blfd(["--config", "blfd.toml", "tenant", "list"])

    def follow(self, command: Command) -> None:
        line = PREFIX.sub("", command.line).replace(" -g blfd", "").replace(" [FILE]", "")
        for begins, more in GIVEN.items():
            if line.startswith(begins) and more.split()[0] not in line:
                line = f"{line} {more}"
        if line.startswith("blfd ") and not any(line.startswith(each) for each in ELSEWHERE):
            words = [self.here(WORDS.get(word, word)) for word in shlex.split(line, comments=True)][1:]
            if "device" in words and "import" in words:
                words[-1] = "devices.csv"
            if command.in_text and (command.line in self._done or is_mention(words)):
                return
            self._done.add(command.line)
            self._blfd(words)
        elif line.startswith(SHELL):
            self._shell(line)
        else:
            assert any(line.startswith(each) for each in ELSEWHERE), (
                f"{line}: is neither run nor in ELSEWHERE"
            )

    def here(self, text: str) -> str:
        for there, here in ADDRESSES.items():
            text = re.sub(there, here, text)
        return FOLDERS.sub(f"{self.folder}/", text.replace(AT_WEB, self._web))

    def _blfd(self, words: list[str]) -> None:
        if "run" in words:
            self._serve(words)
            return
        if "restore" in words:
            self.close()
        done = self._forked.run(tuple(words), self.folder, self._environment)
        if done.returncode == 3:
            self._serve(["run"])
            done = self._forked.run(tuple(words), self.folder, self._environment)
        assert done.returncode == 0 or (done.returncode, words[-1]) == (1, "doctor"), (words, done.stderr)
        assert done.stdout, f"{words} says nothing"

    def _serve(self, words: list[str]) -> None:
        self.close()
        for each in ("--metrics", "--web"):
            if each in words:
                words[words.index(each) + 1] = words[words.index(each) + 1].rpartition(":")[0] + ":0"
        log = self.folder / "server.log"
        self._server, said = self._forked.serve(tuple(words), self.folder, self._environment, log)
        assert said.startswith("ready"), (words, said, log.read_text())
        given = words[: words.index("run")]
        serves = json.loads(self._output(*given, "status", "--json"))["serves"]
        self._web = next((each.partition("//")[2] for each in serves if each.startswith("portal: ")), AT_WEB)

    def _output(self, *words: str) -> str:
        return self._forked.run(words, self.folder, self._environment).stdout

    def _shell(self, line: str) -> None:
        if re.match(r"[A-Z]+=", line):
            inner = re.search(r"\$\(blfd (.*)\)", line)
            found = self._output(*shlex.split(inner[1])).strip() if inner else ""
            self._variables.append(line.replace(inner[0], found) if inner else line)
            return
        program(shlex.split(line)[0])
        if line.startswith("curl") and not self._server:
            self._serve(["run", "--web", f"http://{AT_WEB}"])
        line = self.here(line)
        script = "\n".join([*map(self.here, self._variables), line])
        done = subprocess.run(
            ["sh", "-ec", script], cwd=self.folder, capture_output=True, text=True, timeout=60
        )
        endless = (28,) if GIVEN["curl -sN"] in line else (0,)
        assert done.returncode in endless, (line, done.stderr)

    def close(self) -> None:
        if self._server:
            self._forked.end(self._server)
        self._server = 0


def is_mention(words: list[str]) -> bool:
    """Whether these words name a command that needs more words to be run."""
    command = typer.main.get_command(app)
    for word in words:
        inner = getattr(command, "get_command", lambda *_: None)(None, word)
        if inner is None:
            return False
        command = inner
    return hasattr(command, "commands") or any(each.required for each in command.params)


@pytest.fixture
def reader(tmp_path: Path, forked: Forked) -> Iterator[Reader]:
    reading = Reader(tmp_path, forked)
    yield reading
    reading.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_can_be_followed(page: Path, reader: Reader) -> None:
    for line in SCENERY.get(page.name, []):
        reader.follow(Command(line, False))
    for _, language, block, _ in PARTS.findall(page.read_text()):
        if language == "toml":
            reader.configure(block)
    for command in commands(page.read_text()):
        reader.follow(command)
