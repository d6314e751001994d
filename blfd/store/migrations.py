"""The database's schema, from the first version on. A migration that has shipped is never edited."""

from __future__ import annotations

import json
import re
from typing import Any

from sqlite_utils.db import Database
from sqlite_utils.migrations import Migrations

from blfd.core.values import DEFAULT_TENANT
from blfd.store.secrets import of_web_page

migrations = Migrations("blfd")


@migrations()
def tenants_extensions_bindings(db: Database) -> None:
    """Version 1."""
    db.table("tenants").create(
        {"domain": str, "aliases": str, "single_dialog": int},
        pk="domain",
        not_null={"aliases", "single_dialog"},
    )
    db.table("tenants").insert({"domain": DEFAULT_TENANT, "aliases": "[]", "single_dialog": 0})
    # Written out: sqlite-utils makes no composite foreign keys with ON DELETE CASCADE.
    db.execute(
        """
        CREATE TABLE extensions (
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            extension TEXT NOT NULL,
            name TEXT NOT NULL,
            ha1_sha256 TEXT NOT NULL,
            ha1_md5 TEXT NOT NULL,
            PRIMARY KEY (tenant, extension)
        )
        """
    )
    db.execute(
        """
        CREATE TABLE bindings (
            tenant TEXT NOT NULL,
            extension TEXT NOT NULL,
            contact TEXT NOT NULL,
            transport TEXT NOT NULL,
            host TEXT NOT NULL,
            port INTEGER NOT NULL,
            listener INTEGER NOT NULL,
            call_id TEXT NOT NULL,
            cseq INTEGER NOT NULL,
            expires_at REAL NOT NULL,
            q REAL NOT NULL,
            user_agent TEXT NOT NULL,
            path TEXT NOT NULL,
            PRIMARY KEY (tenant, extension, contact),
            FOREIGN KEY (tenant, extension) REFERENCES extensions(tenant, extension) ON DELETE CASCADE
        )
        """
    )


@migrations()
def pickup(db: Database) -> None:
    """Version 2: codes, who may pick up, groups, and who picked up what."""
    for column, kind in (
        ("pickup_code", "TEXT NOT NULL DEFAULT '*97'"),
        ("group_pickup_code", "TEXT NOT NULL DEFAULT '*98'"),
        ("pickup", "TEXT NOT NULL DEFAULT 'on'"),
        ("pickable", "INTEGER NOT NULL DEFAULT 1"),
    ):
        db.execute(f"ALTER TABLE tenants ADD COLUMN {column} {kind}")
    db.execute("ALTER TABLE extensions ADD COLUMN pickup TEXT")  # NULL: as the tenant says
    db.execute("ALTER TABLE extensions ADD COLUMN pickable INTEGER")
    db.execute(
        """
        CREATE TABLE groups (
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            name TEXT NOT NULL,
            PRIMARY KEY (tenant, name)
        )
        """
    )
    db.execute(
        """
        CREATE TABLE group_members (
            tenant TEXT NOT NULL,
            name TEXT NOT NULL,
            extension TEXT NOT NULL,
            picks INTEGER NOT NULL,
            is_picked INTEGER NOT NULL,
            PRIMARY KEY (tenant, name, extension),
            FOREIGN KEY (tenant, name) REFERENCES groups(tenant, name) ON DELETE CASCADE,
            FOREIGN KEY (tenant, extension) REFERENCES extensions(tenant, extension) ON DELETE CASCADE
        )
        """
    )
    db.execute(
        """
        CREATE TABLE pickups (
            id INTEGER PRIMARY KEY,
            at REAL NOT NULL,
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            picker TEXT NOT NULL,
            way TEXT NOT NULL,
            extension TEXT NOT NULL,
            caller TEXT NOT NULL,
            status INTEGER NOT NULL,
            result TEXT NOT NULL,
            milliseconds REAL NOT NULL
        )
        """
    )
    db.execute("CREATE INDEX pickups_by_time ON pickups (tenant, at)")


@migrations()
def subscriptions(db: Database) -> None:
    """Version 3. No foreign keys: the server ends those of removed extensions, and tells their phones."""
    db.execute(
        """
        CREATE TABLE subscriptions (
            key TEXT PRIMARY KEY,
            tenant TEXT NOT NULL,
            resource TEXT NOT NULL,
            watcher TEXT NOT NULL,
            entity TEXT NOT NULL,
            call_id TEXT NOT NULL,
            remote_tag TEXT NOT NULL,
            remote_cseq INTEGER NOT NULL,
            request_uri TEXT NOT NULL,
            head TEXT NOT NULL,
            transport TEXT NOT NULL,
            host TEXT NOT NULL,
            port INTEGER NOT NULL,
            listener INTEGER NOT NULL,
            expires_at REAL NOT NULL,
            user_agent TEXT NOT NULL,
            cseq INTEGER NOT NULL
        ) WITHOUT ROWID
        """
    )


@migrations()
def devices(db: Database) -> None:
    """Version 4: phones that are provisioned, and what a site sets over our settings."""
    db.execute(
        """
        CREATE TABLE devices (
            mac TEXT PRIMARY KEY,
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            model TEXT NOT NULL,
            transport TEXT NOT NULL,
            keys TEXT NOT NULL,
            password TEXT NOT NULL,
            secret TEXT NOT NULL,
            fetched_at REAL,
            fetched_from TEXT NOT NULL DEFAULT '',
            fetched_by TEXT NOT NULL DEFAULT ''
        )
        """
    )
    db.execute("CREATE UNIQUE INDEX devices_by_secret ON devices (secret)")
    db.execute(
        """
        CREATE TABLE device_extensions (
            mac TEXT NOT NULL REFERENCES devices(mac) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            tenant TEXT NOT NULL,
            extension TEXT NOT NULL,
            PRIMARY KEY (mac, position),
            FOREIGN KEY (tenant, extension) REFERENCES extensions(tenant, extension) ON DELETE CASCADE
        )
        """
    )
    db.execute(
        """
        CREATE TABLE device_settings (
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            scope TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT,
            PRIMARY KEY (tenant, scope, name)
        )
        """
    )


@migrations()
def portal(db: Database) -> None:
    """Version 5: who may use the portal and the API, and who has changed what."""
    db.execute(
        """
        CREATE TABLE admins (
            name TEXT PRIMARY KEY,
            tenant TEXT REFERENCES tenants(domain) ON DELETE CASCADE,
            role TEXT NOT NULL,
            password TEXT NOT NULL
        )
        """
    )
    db.execute(
        """
        CREATE TABLE sessions (
            hash TEXT PRIMARY KEY,
            admin TEXT NOT NULL REFERENCES admins(name) ON DELETE CASCADE,
            csrf TEXT NOT NULL,
            opened_at REAL NOT NULL,
            used_at REAL NOT NULL
        )
        """
    )
    db.execute(
        """
        CREATE TABLE tokens (
            id INTEGER PRIMARY KEY,
            tenant TEXT REFERENCES tenants(domain) ON DELETE CASCADE,
            name TEXT NOT NULL,
            hash TEXT NOT NULL UNIQUE,
            scopes TEXT NOT NULL,
            used_at REAL
        )
        """
    )
    db.execute(
        """
        CREATE TABLE audit (
            id INTEGER PRIMARY KEY,
            at REAL NOT NULL,
            who TEXT NOT NULL,
            tenant TEXT NOT NULL,
            operation TEXT NOT NULL,
            subject TEXT NOT NULL,
            before TEXT,
            after TEXT
        )
        """
    )
    db.execute("CREATE INDEX audit_by_tenant ON audit (tenant, id)")


@migrations()
def provisioning_overrides(db: Database) -> None:
    """Version 6: what a site sets for the phones of all its tenants, and templates in the place of ours."""
    db.execute(
        """
        CREATE TABLE site_settings (
            scope TEXT NOT NULL,
            name TEXT NOT NULL,
            value TEXT,
            PRIMARY KEY (scope, name)
        )
        """
    )
    db.execute("CREATE TABLE provisioning_templates (scope TEXT PRIMARY KEY, source TEXT NOT NULL)")


@migrations()
def subscription_dialogs(db: Database) -> None:
    """Version 7: a subscription's dialog and package, field by field, in the place of header lines."""
    db.execute("ALTER TABLE subscriptions RENAME TO subscriptions_3")
    db.execute(
        """
        CREATE TABLE subscriptions (
            key TEXT PRIMARY KEY,
            tenant TEXT NOT NULL,
            resource TEXT NOT NULL,
            watcher TEXT NOT NULL,
            package TEXT NOT NULL,
            entity TEXT NOT NULL,
            call_id TEXT NOT NULL,
            remote_tag TEXT NOT NULL,
            local_uri TEXT NOT NULL,
            local_name TEXT NOT NULL,
            remote_uri TEXT NOT NULL,
            remote_name TEXT NOT NULL,
            target TEXT NOT NULL,
            route_set TEXT NOT NULL,
            event TEXT NOT NULL,
            remote_cseq INTEGER NOT NULL,
            transport TEXT NOT NULL,
            host TEXT NOT NULL,
            port INTEGER NOT NULL,
            listener INTEGER NOT NULL,
            expires_at REAL NOT NULL,
            user_agent TEXT NOT NULL,
            cseq INTEGER NOT NULL
        ) WITHOUT ROWID
        """
    )
    before = db.execute("SELECT * FROM subscriptions_3").fetchall()
    marks = ", ".join("?" * 23)
    db.conn.executemany(f"INSERT INTO subscriptions VALUES ({marks})", map(_with_dialog, before))
    db.execute("DROP TABLE subscriptions_3")


@migrations()
def device_modules(db: Database) -> None:
    """Version 8: how many modules stand beside a phone. Until then it had as many as its keys needed."""
    db.execute("ALTER TABLE devices ADD COLUMN modules INTEGER NOT NULL DEFAULT 0")
    for mac, tenant, model, keys in db.execute("SELECT mac, tenant, model, keys FROM devices").fetchall():
        own, each, most = _ROOM_7.get(model, (0, 0, 0))
        if not most:
            continue
        (lines,) = db.execute("SELECT count(*) FROM device_extensions WHERE mac = ?", [mac]).fetchone()
        over = lines + _keys_7(db, mac, tenant, keys) - own
        db.execute("UPDATE devices SET modules = ? WHERE mac = ?", [min(most, max(0, -(-over // each))), mac])


@migrations()
def binding_instances(db: Database) -> None:
    """Version 9: which phone a binding is of (RFC 5626)."""
    db.execute("ALTER TABLE bindings ADD COLUMN instance TEXT NOT NULL DEFAULT ''")


def _keys_7(db: Database, mac: str, tenant: str, keys: str) -> int:
    """How many keys a phone of version 7 wanted beside those of its lines."""
    team, _, group = keys.partition(":")
    if team != "team":
        return sum(bool(key.strip()) for key in keys.split(","))
    rows = "group_members WHERE name = ? AND is_picked" if group else "extensions WHERE ? = ''"
    own = "SELECT extension FROM device_extensions WHERE mac = ?"
    count = f"SELECT count(*) FROM {rows} AND tenant = ? AND extension NOT IN ({own})"
    return int(db.execute(count, [group, tenant, mac]).fetchone()[0])


# Of models that version 7 knew modules of: their own keys, a module's, and how many modules they take
_ROOM_7 = {
    "yealink/t27g": (21, 40, 6),
    "yealink/t43u": (15, 60, 3),
    "yealink/t46s": (27, 40, 6),
    "yealink/t48s": (29, 40, 6),
    **dict.fromkeys(("yealink/t48u", "yealink/t57w"), (29, 60, 3)),
    **dict.fromkeys(("yealink/t53", "yealink/t53w"), (21, 60, 3)),
    **dict.fromkeys([f"yealink/{name}" for name in ("t46u", "t54s", "t54w", "t58", "t58w")], (27, 60, 3)),
    **dict.fromkeys([f"polycom/vvx{name}" for name in (300, 301, 310, 311)], (6, 40, 3)),
    **dict.fromkeys([f"polycom/vvx{name}" for name in (400, 401, 410, 411, 450, 500, 501)], (12, 40, 3)),
    **dict.fromkeys([f"polycom/vvx{name}" for name in (600, 601)], (16, 40, 3)),
    "grandstream/gxp2140": (16, 40, 4),
    "grandstream/gxp2170": (48, 40, 4),
    "snom/d785": (24, 18, 3),
    "cisco/spa303": (3, 32, 2),
    **dict.fromkeys(("cisco/spa504g", "cisco/spa514g"), (4, 32, 2)),
    "cisco/spa525g2": (5, 32, 2),
    **dict.fromkeys(("cisco/spa501g", "cisco/spa508g"), (8, 32, 2)),
    "cisco/spa509g": (12, 32, 2),
    "cisco/cp8851-3pcc": (10, 28, 2),
    "cisco/cp8861-3pcc": (10, 28, 3),
    "htek/uc924": (28, 40, 6),
    "htek/uc926": (36, 40, 6),
}


def _with_dialog(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A subscription of version 3 as one of version 7."""
    key, tenant, resource, watcher, entity, call_id, remote_tag, remote_cseq, target, head, *rest = row
    text = head.decode("utf-8", "surrogateescape") if isinstance(head, bytes) else head
    lines = [line.partition(": ")[::2] for line in text.split("\r\n")]
    routes = json.dumps([value for name, value in lines if name == "Route"])
    values = dict(lines)
    local, remote = (_name_and_uri(values[name]) for name in ("From", "To"))
    who = (key, tenant, resource, watcher, "dialog", entity, call_id, remote_tag)
    return (*who, *local, *remote, target, routes, values["Event"], remote_cseq, *rest)


def _name_and_uri(value: str) -> tuple[str | bytes, str | bytes]:
    """URI and name of a From or To as versions before 7 wrote it."""
    found = re.fullmatch(r'(?:"((?:[^"\\]|\\.)*)" )?<(.*)>;tag=[^<>]*', value, re.S)
    name, uri = (found[1] or "", found[2]) if found else ("", value)
    return _octets(uri), _octets(re.sub(r"\\(.)", r"\1", name))


def _octets(text: str) -> str | bytes:
    """The text as it is kept: as octets where it is no UTF-8."""
    octets = text.encode("utf-8", "surrogateescape")
    return octets if any("\udc80" <= letter <= "\udcff" for letter in text) else text


@migrations()
def web_pages_of_phones(db: Database) -> None:
    """Version 9: passwords of phones' web pages; what a maker calls as we call a common setting is `raw:`."""
    for column in ("admin_password", "user_password"):
        db.execute(f"ALTER TABLE devices ADD COLUMN {column} TEXT NOT NULL DEFAULT ''")
    for (mac,) in db.execute("SELECT mac FROM devices").fetchall():
        made = of_web_page()
        db.execute(
            "UPDATE devices SET admin_password = ?, user_password = ? WHERE mac = ?", [*made.values(), mac]
        )
    for table in ("site_settings", "device_settings"):
        db.execute(f"UPDATE {table} SET name = 'raw:' || name WHERE name IN ('timezone', 'language')")


@migrations()
def keys_without_gaps(db: Database) -> None:
    """Version 10: a phone's keys have no comma too many; until then "102,,103" was read as "102,103"."""
    for mac, keys in db.execute("SELECT mac, keys FROM devices").fetchall():
        kept = ",".join(key for key in keys.split(",") if key.strip())
        if kept != keys:
            db.execute("UPDATE devices SET keys = ? WHERE mac = ?", [kept, mac])


@migrations()
def extension_shapes(db: Database) -> None:
    """Version 11: to find at once how long a tenant's extensions are that a keypad can dial."""
    db.execute(
        """
        CREATE INDEX extension_shapes ON extensions (tenant, substr(extension, 1, 1), length(extension))
        WHERE extension NOT GLOB '*[^0-9]*'
        """
    )


@migrations()
def shared_secrets(db: Database) -> None:
    """Version 13: secrets of the server itself, which are the same after a restart."""
    db.execute("CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL)")


@migrations()
def publications(db: Database) -> None:
    """Version 14: what others publish of extensions, and whose word counts for which."""
    db.execute(
        """
        CREATE TABLE publications (
            etag TEXT PRIMARY KEY,
            tenant TEXT NOT NULL,
            extension TEXT NOT NULL,
            publisher TEXT NOT NULL,
            at REAL NOT NULL,
            expires_at REAL NOT NULL,
            body BLOB NOT NULL
        ) WITHOUT ROWID
        """
    )
    db.execute("ALTER TABLE tenants ADD COLUMN owner TEXT NOT NULL DEFAULT 'local'")
    db.execute("ALTER TABLE extensions ADD COLUMN owner TEXT")  # NULL: as the tenant says
    db.execute("ALTER TABLE extensions ADD COLUMN publish INTEGER NOT NULL DEFAULT 0")


@migrations()
def forwarding(db: Database) -> None:
    """Version 15: do not disturb, where calls are forwarded, and for whom holds what one phone says."""
    for column, kind in (
        ("dnd", "INTEGER NOT NULL DEFAULT 0"),
        ("forward_always", "TEXT NOT NULL DEFAULT ''"),
        ("forward_busy", "TEXT NOT NULL DEFAULT ''"),
        ("forward_no_answer", "TEXT NOT NULL DEFAULT ''"),
        ("forward_after", "INTEGER NOT NULL DEFAULT 20"),
        ("forward_unregistered", "TEXT NOT NULL DEFAULT ''"),
    ):
        db.execute(f"ALTER TABLE extensions ADD COLUMN {column} {kind}")
    for column, value in (("dnd_lamp", "busy"), ("redirect", "all"), ("decline", "all")):
        db.execute(f"ALTER TABLE tenants ADD COLUMN {column} TEXT NOT NULL DEFAULT '{value}'")


@migrations()
def star_codes(db: Database) -> None:
    """Version 16: codes by which extensions set their own rules, and whether phones follow those.

    What was there before stays: a code is left out that would be one with a pickup code.
    """
    db.execute("ALTER TABLE tenants ADD COLUMN star_codes TEXT NOT NULL DEFAULT '{}'")
    db.execute("ALTER TABLE tenants ADD COLUMN feature_sync INTEGER NOT NULL DEFAULT 1")
    new = {"dnd": "*78", "dnd_off": "*79"}
    for number, when in (("*72 *73", "always"), ("*90 *91", "busy"), ("*92 *93", "no_answer")):
        new[f"forward_{when}"], new[f"forward_{when}_off"] = number.split()
    for tenant in list(db.table("tenants").rows):
        known = (tenant["pickup_code"], tenant["group_pickup_code"])
        left_out = {
            name: ""
            for name, code in new.items()
            if any(code.startswith(each) or each.startswith(code) for each in known)
        }
        if left_out:
            db.table("tenants").update(tenant["domain"], {"star_codes": json.dumps(left_out)})


@migrations()
def calls_that_are_up(db: Database) -> None:
    """Version 17: both legs of each call that is up. Texts of phones are octets where they are not UTF-8."""
    db.execute(
        """
        CREATE TABLE legs (
            leg INTEGER PRIMARY KEY,
            call INTEGER NOT NULL,
            side TEXT NOT NULL,
            domain TEXT NOT NULL,
            source TEXT NOT NULL,
            started_at REAL NOT NULL,
            transfers INTEGER NOT NULL,
            settled INTEGER NOT NULL,
            tenant TEXT NOT NULL,
            extension TEXT NOT NULL,
            name NOT NULL,
            withheld INTEGER NOT NULL,
            trusted INTEGER NOT NULL,
            contact NOT NULL,
            initiator INTEGER NOT NULL,
            since REAL NOT NULL,
            held INTEGER NOT NULL,
            picked INTEGER NOT NULL,
            referred_by TEXT NOT NULL,
            replaces TEXT NOT NULL,
            call_id NOT NULL,
            local_tag TEXT NOT NULL,
            remote_tag NOT NULL,
            local_uri NOT NULL,
            remote_uri NOT NULL,
            target NOT NULL,
            reached_at NOT NULL,
            route_set TEXT NOT NULL,
            transport TEXT NOT NULL,
            host TEXT NOT NULL,
            port INTEGER NOT NULL,
            listener INTEGER NOT NULL,
            cseq INTEGER NOT NULL,
            remote_cseq INTEGER NOT NULL,
            sent BLOB NOT NULL,
            received BLOB NOT NULL,
            allows_update INTEGER NOT NULL,
            session_interval INTEGER,
            session_is_ours INTEGER,
            session_expires_at REAL
        )
        """
    )
    db.execute("CREATE INDEX legs_of_calls ON legs (call)")


@migrations()
def trunks(db: Database) -> None:
    """Version 18: lines to the outside, and which numbers go out by them; `settings` are no defaults."""
    db.execute(
        """
        CREATE TABLE trunks (
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            name TEXT NOT NULL,
            password TEXT NOT NULL,
            settings TEXT NOT NULL,
            PRIMARY KEY (tenant, name)
        )
        """
    )
    db.execute(
        """
        CREATE TABLE routes (
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            pattern TEXT NOT NULL,
            settings TEXT NOT NULL,
            PRIMARY KEY (tenant, pattern)
        )
        """
    )
    db.execute("ALTER TABLE legs ADD COLUMN number TEXT NOT NULL DEFAULT ''")  # of who is outside


@migrations()
def sending_outside(db: Database) -> None:
    """Version 19: whether calls may be forwarded and transferred outside."""
    db.execute("ALTER TABLE tenants ADD COLUMN send_outside INTEGER NOT NULL DEFAULT 1")


@migrations()
def bindings_of_trunks(db: Database) -> None:
    """Version 20: trunks may register here, too. Bindings go with what they are of."""
    columns = (
        "tenant, extension, contact, transport, host, port, listener, call_id, cseq, expires_at, q, "
        "user_agent, path, instance"
    )
    db.execute("ALTER TABLE bindings RENAME TO old_bindings")
    db.execute(
        """
        CREATE TABLE bindings (
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            extension TEXT NOT NULL,
            contact TEXT NOT NULL,
            transport TEXT NOT NULL,
            host TEXT NOT NULL,
            port INTEGER NOT NULL,
            listener INTEGER NOT NULL,
            call_id TEXT NOT NULL,
            cseq INTEGER NOT NULL,
            expires_at REAL NOT NULL,
            q REAL NOT NULL,
            user_agent TEXT NOT NULL,
            path TEXT NOT NULL,
            instance TEXT NOT NULL,
            PRIMARY KEY (tenant, extension, contact)
        )
        """
    )
    db.execute(f"INSERT INTO bindings ({columns}) SELECT {columns} FROM old_bindings")
    db.execute("DROP TABLE old_bindings")
    for table, name in (("extensions", "OLD.extension"), ("trunks", "'trunk+' || OLD.name")):
        db.execute(
            f"CREATE TRIGGER bindings_of_{table} AFTER DELETE ON {table} BEGIN DELETE FROM bindings "
            f"WHERE tenant = OLD.tenant AND extension = {name}; END"
        )


@migrations()
def calls_by_sips(db: Database) -> None:
    """Version 21: whether a call was made by sips:."""
    db.execute("ALTER TABLE legs ADD COLUMN secure INTEGER NOT NULL DEFAULT 0")


@migrations()
def upstreams(db: Database) -> None:
    """Version 22: PBXs whose lamps are shown; `settings` are no defaults."""
    db.execute(
        """
        CREATE TABLE upstreams (
            tenant TEXT NOT NULL REFERENCES tenants(domain) ON DELETE CASCADE,
            name TEXT NOT NULL,
            password TEXT NOT NULL,
            settings TEXT NOT NULL,
            PRIMARY KEY (tenant, name)
        )
        """
    )


@migrations()
def withholding(db: Database) -> None:
    """Version 23: the code for calls that do not say whose they are, where no other code is like it."""
    for tenant in list(db.table("tenants").rows):
        codes = json.loads(tenant["star_codes"])
        known = [tenant["pickup_code"], tenant["group_pickup_code"], *filter(None, codes.values())]
        if any("*67".startswith(each) or each.startswith("*67") for each in known):
            changed = json.dumps({**codes, "withhold": ""})
            db.table("tenants").update(tenant["domain"], {"star_codes": changed})


@migrations()
def names_of_peers(db: Database) -> None:
    """Version 24: whom the certificate of who is connected to by TLS has to be for."""
    for table in ("bindings", "subscriptions", "legs"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN peer TEXT NOT NULL DEFAULT ''")


@migrations()
def names_of_legs(db: Database) -> None:
    """Version 25: From and To of calls that are up were header text; they are URI and name each."""
    for side in ("local", "remote"):
        db.execute(f"ALTER TABLE legs ADD COLUMN {side}_name NOT NULL DEFAULT ''")
        for row, value in db.execute(f"SELECT rowid, {side}_uri FROM legs").fetchall():
            text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
            found = re.match(r'(?:"((?:[^"\\]|\\.)*)" *)?<([^>]*)>', text, re.S)
            if found:
                name = re.sub(r"\\(.)", r"\1", found[1] or "", flags=re.S)
                both = (_octets(found[2]), _octets(name), row)
                db.execute(f"UPDATE legs SET {side}_uri = ?, {side}_name = ? WHERE rowid = ?", both)


@migrations()
def rows_as_they_come(db: Database) -> None:
    """Version 26: subscriptions and publications stand in the order in which they were written.

    In that of their keys, which are drawn at random, many that were written together stood in as many pages.
    """
    _written_anew(
        db,
        "subscriptions",
        """
        key TEXT PRIMARY KEY,
        tenant TEXT NOT NULL,
        resource TEXT NOT NULL,
        watcher TEXT NOT NULL,
        package TEXT NOT NULL,
        entity TEXT NOT NULL,
        call_id TEXT NOT NULL,
        remote_tag TEXT NOT NULL,
        local_uri TEXT NOT NULL,
        local_name TEXT NOT NULL,
        remote_uri TEXT NOT NULL,
        remote_name TEXT NOT NULL,
        target TEXT NOT NULL,
        route_set TEXT NOT NULL,
        event TEXT NOT NULL,
        remote_cseq INTEGER NOT NULL,
        transport TEXT NOT NULL,
        host TEXT NOT NULL,
        port INTEGER NOT NULL,
        listener INTEGER NOT NULL,
        expires_at REAL NOT NULL,
        user_agent TEXT NOT NULL,
        cseq INTEGER NOT NULL,
        peer TEXT NOT NULL
        """,
    )
    _written_anew(
        db,
        "publications",
        """
        etag TEXT PRIMARY KEY,
        tenant TEXT NOT NULL,
        extension TEXT NOT NULL,
        publisher TEXT NOT NULL,
        at REAL NOT NULL,
        expires_at REAL NOT NULL,
        body BLOB NOT NULL
        """,
    )


def _written_anew(db: Database, table: str, columns: str) -> None:
    """Write a table anew with the same columns, which may be kept otherwise."""
    db.execute(f"ALTER TABLE {table} RENAME TO {table}_before")
    db.execute(f"CREATE TABLE {table} ({columns})")
    db.execute(f"INSERT INTO {table} SELECT * FROM {table}_before")
    db.execute(f"DROP TABLE {table}_before")


@migrations()
def numbers_not_shown(db: Database) -> None:
    """Version 27: extensions whose number is not shown outside, and the code for a call that shows it,
    where no other code or route is like it."""
    db.execute("ALTER TABLE extensions ADD COLUMN withhold INTEGER NOT NULL DEFAULT 0")
    routes = db.execute("SELECT tenant, pattern FROM routes").fetchall()
    for tenant in list(db.table("tenants").rows):
        codes = json.loads(tenant["star_codes"])
        known = [tenant["pickup_code"], tenant["group_pickup_code"], *filter(None, codes.values())]
        taken = any("*68".startswith(each) or each.startswith("*68") for each in known)
        if taken or any(whose == tenant["domain"] and way.startswith("*68") for whose, way in routes):
            changed = json.dumps({**codes, "withhold_off": ""})
            db.table("tenants").update(tenant["domain"], {"star_codes": changed})


@migrations()
def changes_of_many(db: Database) -> None:
    """Version 28: what an import has done to each is a row, not all of it in the row of the change."""
    db.execute("ALTER TABLE audit ADD COLUMN counts TEXT")
    db.execute(
        """
        CREATE TABLE audit_parts (
            change INTEGER NOT NULL REFERENCES audit(id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            name TEXT NOT NULL,
            before TEXT,
            after TEXT,
            PRIMARY KEY (change, position)
        )
        """
    )
    db.execute("CREATE INDEX audit_parts_by_name ON audit_parts (name, change)")
    large = "SELECT id, before, after FROM audit WHERE length(before) > 5000 OR length(after) > 5000"
    for number, *texts in list(db.execute(large)):
        before, after = (json.loads(text or "{}") for text in texts)
        if max(len(before), len(after)) <= 50:
            continue
        kinds: dict[str, list[str]] = {"added": [], "changed": [], "removed": [], "unchanged": []}
        for name in sorted({**before, **after}, key=lambda name: (len(name), name)):
            there = name in before, name in after
            kind = {(False, True): "added", (True, False): "removed"}.get(there)
            kinds[kind or ("unchanged" if before[name] == after[name] else "changed")].append(name)
        names = [name for each in kinds.values() for name in each]
        for at, name in enumerate(names):
            told = [
                json.dumps(value if isinstance(value, dict) else {"value": value})
                if value is not None
                else None
                for value in (before.get(name), after.get(name))
            ]
            db.execute("INSERT INTO audit_parts VALUES (?, ?, ?, ?, ?)", [number, at, name, *told])
        first = [name for each in kinds.values() for name in each[:12]]
        kept = [
            json.dumps({name: fields[name] for name in first if name in fields}) for fields in (before, after)
        ]
        counts = json.dumps({kind: len(each) for kind, each in kinds.items()})
        db.execute("UPDATE audit SET before = ?, after = ?, counts = ? WHERE id = ?", [*kept, counts, number])


@migrations()
def passwords_of_bindings(db: Database) -> None:
    """Version 29: by which password a phone has registered; of those of before that is not known."""
    db.execute("ALTER TABLE bindings ADD COLUMN proof TEXT NOT NULL DEFAULT ''")


@migrations()
def passwords_of_what_is_kept(db: Database) -> None:
    """Version 30: by which password a phone watches, and a server publishes; of those of before that is not
    known."""
    for table in ("subscriptions", "publications"):
        db.execute(f"ALTER TABLE {table} ADD COLUMN proof TEXT NOT NULL DEFAULT ''")
