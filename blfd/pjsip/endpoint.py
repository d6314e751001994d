"""PJSIP's core, brought up without pjsua: endpoint, transaction, UA and INVITE layers, timers.

PJSIP keeps its state in globals of the library, so there is one endpoint in a process.
"""

from __future__ import annotations

import logging
import secrets

from blfd.pjsip.library import CData, callback, check, ffi, lib

log = logging.getLogger("blfd.pjsip")

MAX_TRANSACTIONS = 400_000
USAGE_PRIORITY = 40  # before PJSIP's own INVITE usage (48)

HEADER_ALLOW, HEADER_SUPPORTED = 4, 36  # pjsip_hdr_e
POOL_SIZE = 4000
OF_PJSIP = frozenset(("100rel", "timer"))  # its modules announce these option tags


def _log(level: int, text: CData, length: int) -> None:
    said = ffi.string(text, length)
    of_peers = b"sip_parser.c" in said or b"sip_inv.c" in said  # what peers write may not fill our log
    severity = logging.WARNING if level <= 2 and not of_peers else logging.DEBUG
    log.log(severity, "%s", said.decode("utf-8", "replace").strip())


_on_log = callback("void(int, const char *, int)", _log)


class Endpoint:
    """The endpoint; `invite_callbacks` is a filled pjsip_inv_callback that its owner keeps alive."""

    def __init__(self, invite_callbacks: CData, *, verbose: bool = False) -> None:
        self._invite_callbacks = invite_callbacks
        self._caching_pool = ffi.new("char[8192]")
        self._kept: list[object] = []
        self._next_delay = ffi.new("pj_time_val *")
        lib.pj_log_set_log_func(_on_log)
        lib.pj_log_set_level(4 if verbose else 1)
        check("pj_init", lib.pj_init())
        lib.pj_srand(secrets.randbits(32))  # else every start makes the same tags and Call-IDs
        check("pjlib_util_init", lib.pjlib_util_init())
        self._configure()
        policy = ffi.addressof(lib, "pj_pool_factory_default_policy")
        lib.pj_caching_pool_init(self._caching_pool, policy, 0)
        made = ffi.new("pjsip_endpoint **")
        check("pjsip_endpt_create", lib.pjsip_endpt_create(self._caching_pool, b"blfd", made))
        self.pj = made[0]
        self.transport_manager = lib.pjsip_endpt_get_tpmgr(self.pj)
        self._timer_heap = lib.pjsip_endpt_get_timer_heap(self.pj)
        self._start_layers()

    @staticmethod
    def _configure() -> None:
        settings = lib.pjsip_sip_cfg_var
        settings.tsx_max_count = MAX_TRANSACTIONS
        settings.disable_tcp_switch = 1  # phones on UDP do not listen on TCP
        settings.allow_port_in_fromto_hdr = 1  # what is copied into an answer is copied whole

    def _start_layers(self) -> None:
        check("transactions", lib.pjsip_tsx_layer_init_module(self.pj))
        check("user agent", lib.pjsip_ua_init_module(self.pj, ffi.NULL))
        check("INVITE usage", lib.pjsip_inv_usage_init(self.pj, self._invite_callbacks))
        check("100rel", lib.pjsip_100rel_init_module(self.pj))
        check("session timer", lib.pjsip_timer_init_module(self.pj))
        self.user_agent = lib.pjsip_ua_instance()

    def register_module(
        self,
        name: bytes,
        priority: int,
        on_rx_request: CData = ffi.NULL,
        on_rx_response: CData = ffi.NULL,
        on_tx: CData = ffi.NULL,
    ) -> CData:
        """Register a pjsip_module with callbacks for what comes, and for all that leaves; returns it."""
        module = ffi.new("pjsip_module *")
        kept = ffi.new("char[]", name)
        module.name.ptr, module.name.slen = kept, len(name)
        module.id, module.priority = -1, priority
        module.on_rx_request, module.on_rx_response = on_rx_request, on_rx_response
        module.on_tx_request = module.on_tx_response = on_tx
        self.keep(module, kept, on_rx_request, on_rx_response, on_tx)
        check("module", lib.pjsip_endpt_register_module(self.pj, module))
        return module

    def keep(self, *objects: object) -> None:
        """Keep what C code points at until the process ends: PJSIP calls back later than one thinks."""
        self._kept.extend(objects)

    def announce(self, module: CData, header: int, values: tuple[str, ...]) -> None:
        """Add to the Allow or Supported that PJSIP writes, and to what it takes a Require for."""
        values = tuple(value for value in values if value not in OF_PJSIP)
        texts = [ffi.new("char[]", value.encode()) for value in values]
        tags = ffi.new("pj_str_t[]", [(t, len(v)) for t, v in zip(texts, values, strict=True)])
        check(
            "capability",
            lib.pjsip_endpt_add_capability(self.pj, module, header, ffi.NULL, len(values), tags),
        )

    def pool(self, name: bytes = b"blfd", size: int = POOL_SIZE) -> CData:
        """A new memory pool; the caller releases it."""
        made = lib.pj_pool_create(self._caching_pool, name, size, size, ffi.NULL)
        if made == ffi.NULL:
            raise MemoryError("PJSIP has no memory left for a pool")
        return made

    def poll_timers(self) -> float | None:
        """Fire the timers that are due; seconds until the next one, None if there is none."""
        self._next_delay.sec = -1
        lib.pj_timer_heap_poll(self._timer_heap, self._next_delay)
        delay = self._next_delay
        if delay.sec < 0 or delay.sec > 0x7FFFFFF:
            return None
        return float(delay.sec + delay.msec / 1000)

    def destroy(self) -> None:
        lib.pjsip_endpt_destroy(self.pj)
