"""Administrators, tokens and the audit on the command line."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

from commands import Run

PASSWORD = ("--password", "correct horse")


def test_administrators(blfd: Run) -> None:
    blfd("tenant", "add", "acme.example")
    assert "none; 'blfd admin add NAME' adds one" in blfd("admin", "list").stdout
    blfd("admin", "add", "root", *PASSWORD)
    done = blfd("admin", "add", "ann", "--tenant", "Acme.Example", "--role", "viewer", *PASSWORD)
    assert "administrator ann@acme.example added, of acme.example" in done.stdout
    assert json.loads(blfd("admin", "list", "--json").stdout) == [
        {"name": "ann@acme.example", "tenant": "acme.example", "role": "viewer"},
        {"name": "root", "tenant": None, "role": "administrator"},
    ]
    done = blfd("admin", "role", "ann@acme.example", "attendant")
    assert "ann@acme.example has the role attendant now" in done.stdout
    assert json.loads(blfd("admin", "list", "--json").stdout)[0]["role"] == "attendant"
    blfd("admin", "password", "ann@acme.example", "--password", "another horse")
    blfd("tenant", "remove", "acme.example", "--yes")
    assert [row["name"] for row in json.loads(blfd("admin", "list", "--json").stdout)] == ["root"]


def test_what_administrators_may_not_be(blfd: Run) -> None:
    def refused(*arguments: str) -> str:
        return blfd("admin", *arguments, code=1).stderr

    assert "needs a password: give --password" in refused("add", "root")
    assert "10 to 200 characters" in refused("add", "root", "--password", "short")
    assert "letters, digits and" in refused("add", "a b", *PASSWORD)
    assert "no tenant nowhere.example" in refused("add", "ann", "--tenant", "nowhere.example", *PASSWORD)
    assert "is of a tenant" in refused("add", "ann", "--role", "viewer", *PASSWORD)
    blfd("admin", "add", "root", *PASSWORD)
    assert "exists already" in refused("add", "root", *PASSWORD)
    assert "is the last administrator of the system" in refused("remove", "root")
    assert "administers the system, and has no other role" in refused("role", "root", "viewer")
    assert "no administrator ann" in refused("remove", "ann")
    assert "no administrator ann" in refused("role", "ann", "viewer")


def test_tokens(blfd: Run, tmp_path: Path) -> None:
    secret = blfd("token", "add", "crm", "--tenant", "default", "--scope", "lamps").stdout.strip()
    assert secret.startswith("blfd_")
    (row,) = json.loads(blfd("token", "list", "--tenant", "default", "--json").stdout)
    assert row == {"name": "crm", "tenant": "default", "scopes": ["lamps"], "used_at": None}
    assert "crm" not in blfd("token", "list").stdout, "of the system there is none"
    again = blfd("token", "add", "crm", "--tenant", "default", "--scope", "lamps", code=1)
    assert "exists already" in again.stderr
    wrong = blfd("token", "add", "x", "--tenant", "default", "--scope", "system", code=1)
    assert "scopes are some of lamps, callers, read, write" in wrong.stderr
    with sqlite3.connect(tmp_path / "blfd.db") as db:
        everything = "\n".join(db.iterdump())
    assert secret not in everything, "the database has its hash only"
    blfd("token", "remove", "crm", "--tenant", "default", "--yes")
    assert "no token crm" in blfd("token", "remove", "crm", "--tenant", "default", code=1).stderr


def test_changes(blfd: Callable[..., CompletedProcess[str]], tmp_path: Path) -> None:
    assert "nothing has been changed yet" in blfd("changes").stdout
    blfd("extension", "add", "101", "--password", "h1dden")
    blfd("extension", "set", "101", "--name", "Alice", "--password", "h1dden-2")
    blfd("extension", "add", "101", "--password", "x", code=1)
    blfd("admin", "add", "root", *PASSWORD)
    blfd("provision", "set", "yealink", "features.dnd.allow", "0")
    text = blfd("changes", "--json").stdout
    rows = json.loads(text)
    assert [(row["operation"], row["subject"]) for row in rows] == [
        ("extension.add", "101"),
        ("extension.change", "101"),
        ("setting.set", "yealink"),
    ]
    assert (rows[0]["before"], rows[1]["before"]["name"], rows[1]["after"]["name"]) == (None, "", "Alice")
    assert rows[1]["after"]["password"] == "changed"
    assert "(command line)" in rows[0]["who"]
    assert "h1dden" not in text
    assert "changed extension 101: name and password" in blfd("changes").stdout
    (newest,) = json.loads(blfd("changes", "--limit", "1", "--json").stdout)
    assert newest["sentence"] == "set features.dnd.allow to 0 for yealink"
    (chosen,) = json.loads(blfd("changes", "--filter", "operation=extension.add", "--json").stdout)
    assert chosen["sentence"] == "added extension 101"
    everything = json.loads(blfd("changes", "--system", "--json").stdout)
    assert [row["operation"] for row in everything][2] == "admin.add"
    lines = "".join(f"{number},x,Person {number}\n" for number in range(200, 260))
    (tmp_path / "many.csv").write_text(f"extension,password,name\n{lines}")
    blfd("extension", "import", str(tmp_path / "many.csv"))
    (whole,) = json.loads(blfd("changes", "--filter", "operation=extension.import", "--json").stdout)
    assert whole["counts"]["added"] == 60
    of = ("changes", "--of", str(whole["id"]))
    assert f"--of {whole['id']} shows each" in " ".join(blfd("changes", "--limit", "1").stdout.split())
    assert "Person 259" in blfd(*of, "--filter", "of=259").stdout
    assert json.loads(blfd(*of, "--sort", "-name", "--limit", "1", "--json").stdout)[0]["name"] == "259"
    assert "no change 99999" in blfd("changes", "--of", "99999", code=1).stderr
    assert "argon2" not in json.dumps(everything)
