"""The settings as a model of pydantic-settings: what there is, what each is for, and where it may be said."""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_origin

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    WithJsonSchema,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from blfd.config import texts, values
from blfd.config.config import PREFIX, Config, ConfigError
from blfd.config.values import MOST, Web
from blfd.core import hosts
from blfd.core.access.digest import ALGORITHMS
from blfd.core.settings import Settings
from blfd.transport.addresses import ListenAddress
from blfd.transport.certificate import CertificateError, PemFiles, TlsSettings, authority

SECRETS = "secrets"
SIP = {each.name: each.default for each in fields(Settings) if each.name not in ("trust", "trust_names")}


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str | Path) else value


def _at_least_one(value: list[Any]) -> list[Any]:
    if not value:
        raise ValueError("an empty list is nowhere: say where to listen, or leave it out for the usual ports")
    return value


def _sip_schema() -> dict[str, Any]:
    number = {"type": "integer", "minimum": 0, "maximum": MOST}
    names = {"type": "array", "items": {"enum": list(ALGORITHMS)}, "minItems": 1}
    properties = {
        name: {
            **(number if isinstance(default, int) else names),
            "default": default,
            "description": texts.SIP[name],
        }
        for name, default in SIP.items()
    }
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _sip(table: Any) -> Settings:
    if not isinstance(table, dict):
        raise ValueError("a section is needed, written [sip]")
    unknown = next((name for name in table if name not in SIP), None)
    if unknown:
        raise ValueError(_near(unknown, SIP))
    return values.sip(table)


TEXT, HTTP = WithJsonSchema({"type": "string"}), WithJsonSchema({"type": "string", "pattern": "^https?://"})
GROUP = WithJsonSchema({"type": ["boolean", "string"]})
Listen = Annotated[ListenAddress, PlainValidator(values.listen), TEXT]
Listens = Annotated[list[Listen], AfterValidator(_at_least_one)]
Network = Annotated[hosts.Network, PlainValidator(values.network), TEXT]
DnsServer = Annotated[tuple[str, int], PlainValidator(values.dns_server), TEXT]
Name = Annotated[str, PlainValidator(values.host_name), TEXT]
Address = Annotated[Web | None, PlainValidator(Web.parse), HTTP]
Metrics = Annotated[Web | None, PlainValidator(values.metrics), TEXT]
Pem = Annotated[Path, PlainValidator(values.pem), TEXT]
Pnp = Annotated[ListenAddress | None, PlainValidator(values.pnp), GROUP]
Pems = Annotated[list[Pem], BeforeValidator(_several)]
Sip = Annotated[Settings, PlainValidator(_sip), WithJsonSchema(_sip_schema())]


def _setting(texts: dict[str, str], name: str, default: Any, **more: Any) -> Any:
    """A field of the model: its default is as somebody would write it, and is read as that."""
    return Field(default, description=texts[name], **more)


class Tls(BaseModel):
    """SIP over TLS, and https."""

    model_config = ConfigDict(extra="forbid")

    oldest: Literal["1.0", "1.1", "1.2", "1.3"] = _setting(texts.TLS, "oldest", "1.2")
    client_certificates: Literal["no", "asked", "required"] = _setting(texts.TLS, "client_certificates", "no")
    client_ca: Pem | None = _setting(texts.TLS, "client_ca", None)
    trust: list[Name] = _setting(texts.TLS, "trust", [])
    verify_servers: bool = _setting(texts.TLS, "verify_servers", True)
    server_ca: Pem | None = _setting(texts.TLS, "server_ca", None)
    ca: Pem | None = _setting(texts.TLS, "ca", None)


def _general(name: str, default: Any) -> Any:
    return _setting(texts.GENERAL, name, default, validate_default=default is not None)


class File(BaseSettings):
    """Settings of blfd. What an administrator adds day by day is in its database, not here."""

    model_config = SettingsConfigDict(
        extra="forbid",
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        title="blfd",
        arbitrary_types_allowed=True,
    )

    database: Annotated[Path, PlainValidator(values.database), TEXT] = _general("database", "blfd.db")
    listen: Listens = _general("listen", ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060"])
    trust: list[Network] = _general("trust", [])
    metrics: Metrics = _general("metrics", None)
    provision: Address = _general("provision", None)
    web: Address = _general("web", None)
    pnp: Pnp = _general("pnp", False)
    hang_up_on_stop: bool = _general("hang_up_on_stop", False)
    address: Annotated[str, PlainValidator(values.address), TEXT] = _general("address", "")
    dns_servers: list[DnsServer] = _general("dns_servers", [])
    certificate: Pems = _general("certificate", [])
    certificate_key: Pems = _general("certificate_key", [])
    log_format: Literal["text", "json"] = _general("log_format", "text")
    tls: Tls = Field({}, description="SIP over TLS, and https", validate_default=True)
    sip: Sip = Field({}, description="limits and times", validate_default=True)


class Environment(EnvSettingsSource):
    """The variables, such as BLFD_LISTEN, BLFD_SIP__SILENCE: a list has commas between its parts."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        if value.lstrip()[:1] in ("[", "{"):
            return super().decode_complex_value(field_name, field, value)
        if get_origin(field.annotation) is not list:
            return value
        return [part.strip() for part in value.split(",") if part.strip()]


class SecretFiles(Environment):
    """Files in the place of variables: each has its variable's name in small letters."""

    def __init__(self, settings_cls: type[BaseSettings], found: Mapping[str, str]) -> None:
        super().__init__(settings_cls)
        self.env_vars = found


def read(path: Path | None, options: dict[str, Any], environment: Iterable[str]) -> Config:
    """What is set: `options` go over the variables of the `environment`, these over the file at `path`.

    Raises ConfigError.
    """
    table = _table(path) if path else {}
    for name in sorted(environment):
        _check_variable(name, "the environment")
    folder = os.environ.get(f"{PREFIX}SECRETS", "")
    secrets = _secrets(Path(folder)) if folder else {}

    class Sources(File):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            variables, files = Environment(settings_cls), SecretFiles(settings_cls, secrets)
            return (init_settings, variables, files, InitSettingsSource(settings_cls, table))

    try:
        return _config(Sources(**options))
    except ValidationError as error:
        first = error.errors()[0]
        where, why = _where(first["loc"], path, options, secrets), _why(first)
        if where in secrets:  # it is told to nobody: it may be a key, where the name of its file belongs
            where, why = f"{Path(folder, where)}", why.replace(repr(first.get("input")), "what it has")
        raise ConfigError(f"{where}: {why}") from None
    except CertificateError as error:
        raise ConfigError(f"{path or 'tls'}, [tls]: {error}") from None
    except ValueError as error:  # SettingsError among them: a variable that is no JSON
        raise ConfigError(f"{path or 'configuration'}: {error}") from None


def _table(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from None


def _secrets(folder: Path) -> dict[str, str]:
    """What the files in a folder say that are called as variables are. Raises ConfigError."""
    if not folder.is_dir():
        raise ConfigError(f"BLFD_SECRETS: no folder is called '{folder}'")
    found = {}
    for file in sorted(folder.iterdir()):  # other programs' secrets may lie beside ours
        if file.name.startswith(PREFIX.lower()):
            _check_variable(file.name, f"{folder}")
            try:
                found[file.name] = file.read_text(encoding="utf-8").strip()
            except OSError as error:
                raise ConfigError(f"{file}: {error.strerror}") from None
            except UnicodeDecodeError:
                raise ConfigError(f"{file} is not UTF-8") from None
    return found


def _check_variable(name: str, place: str) -> None:
    """Raises ConfigError for a variable with a slip in its name, which would be as good as none.

    A secret's file is called as its variable, in small letters; `place` is where the name stands.
    """
    sections: dict[str, Iterable[str]] = {"tls": Tls.model_fields, "sip": SIP}
    prefix = name[: len(PREFIX)]
    section, between, rest = name.removeprefix(prefix).lower().partition("__")
    known = sections.get(section, ()) if between else [*File.model_fields, SECRETS]
    if (rest if between else section) not in known:
        of = f"{PREFIX}{section.upper()}__" if between and section in sections else PREFIX
        names = [f"{of}{each.upper()}" for each in known] or ["BLFD_SIP__...", "BLFD_TLS__..."]
        raise ConfigError(f"{place}: {_near(name, names if prefix == PREFIX else map(str.lower, names))}")


def _near(unknown: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(unknown, names, 1)
    return f"unknown key {unknown}; " + (
        f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
    )


def _where(
    loc: tuple[int | str, ...], path: Path | None, options: dict[str, Any], secrets: Mapping[str, str]
) -> str:
    """The place where somebody has written what is wrong; of a secret the name of its file."""
    name = str(loc[0]) if loc else ""
    if name in options:
        return f"--{name.replace('_', '-')}"
    variables = [PREFIX + "__".join(map(str, loc[:many])).upper() for many in (2, 1)]
    variables += [each for each in os.environ if each.startswith(f"{PREFIX}{name.upper()}__")]
    files = [each.lower() for each in variables]
    files += [each for each in secrets if each.startswith(f"{PREFIX}{name}__".lower())]
    said = [each for each in variables if each in os.environ] + [each for each in files if each in secrets]
    if said:
        return said[0]
    section = f"[{name}]" if name in ("tls", "sip") else name
    return f"{path}, {section}" if section else f"{path}"


def _why(error: Any) -> str:
    """The reason, in our words where the model has none."""
    loc, given = error["loc"], error.get("input")
    match error["type"]:
        case "value_error":
            return str(error["ctx"]["error"])
        case "extra_forbidden":
            model = Tls if loc[0] == "tls" else File
            return _near(str(loc[-1]), model.model_fields)
        case "literal_error":
            return f"{loc[-1]} is one of {error['ctx']['expected'].replace(' or ', ', ')}, not {given!r}"
        case "list_type":
            return f'a list of texts is needed, such as {loc[-1]} = ["..."], not {given!r}'
        case "bool_type" | "bool_parsing":
            return f"{loc[-1]} is true or false, not {given!r}"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"a section is needed, written [{loc[-1]}]"
    return f"{error['msg']}, not {given!r}"


def _config(said: File) -> Config:
    """The configuration that is said. Raises ValueError and CertificateError."""
    own, keys = said.certificate, said.certificate_key or said.certificate
    if len(own) != len(keys):
        text = f"{len(own)} certificates and {len(keys)} keys: each has its own, in the same order"
        raise ValueError(text)
    tls = TlsSettings(
        certificates=tuple(PemFiles(*pair) for pair in zip(own, keys, strict=True)),
        oldest=said.tls.oldest,
        client_certificates=said.tls.client_certificates,
        client_ca=said.tls.client_ca,
        verify_servers=said.tls.verify_servers,
        server_ca=said.tls.server_ca,
        ca=said.tls.ca,
        trust=tuple(said.tls.trust),
    )
    if tls.client_certificates != "no" and not tls.client_ca:
        raise ValueError("[tls]: client_certificates needs client_ca: who signs them")
    if tls.trust and tls.client_certificates == "no":
        raise ValueError('[tls]: trust needs client_certificates = "asked" or "required"')
    if tls.server_ca and not tls.verify_servers:
        raise ValueError("[tls]: server_ca needs verify_servers = true")
    authority(tls)
    alike = ("database", "metrics", "provision", "web", "pnp", "hang_up_on_stop", "address", "log_format")
    return Config(
        listen=tuple(said.listen),
        sip=replace(said.sip, trust=tuple(said.trust), trust_names=tls.trust),
        dns_servers=tuple(said.dns_servers),
        tls=tls,
        **{name: getattr(said, name) for name in alike},
    )
