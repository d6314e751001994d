"""A simulated phone: a real SIP user agent (PJSUA2) in a process of its own, for the demo and the tests.

    python -m blfd.demo.simulated_phone --server 127.0.0.1:5060 --user 101 --password secret --watch 102

It reads commands as JSON lines from standard input, such as {"do": "call", "to": "102"}, and writes what
happens as JSON lines to standard output.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import sys
from typing import Any

from blfd.pjsip.library import CData, callback, check, ffi, lib, raw, string
from blfd.pjsip.wheel import FOLDER
from dialog_info import DialogInfo, DialogInfoError, DialogState, parse

sys.path.insert(0, str(FOLDER))  # the wheel may be unpacked there, and installed for no Python
import pjsua2 as pj

BEFORE_DIALOGS = 20  # a module priority after PJSIP's transactions and before its dialogs
WORDS = {
    DialogState.EARLY: "ringing",
    DialogState.CONFIRMED: "talking",
    DialogState.TRYING: "trying",
    DialogState.PROCEEDING: "trying",
}
URGENCY = ("ringing", "talking", "held", "trying", "idle")
IDENTITY = re.compile(r"^P-Asserted-Identity:\s*(.*?)\s*$", re.I | re.M)

# PJSIP writes to standard output before it can be told not to, so reports have a descriptor of their own.
_reports = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def report(event: str, **what: Any) -> None:
    """Tell who has started the phone what has happened."""
    print(json.dumps({"event": event, **what}), file=_reports, flush=True)


def lamp(document: DialogInfo) -> str:
    """The word for what a phone's key would show."""
    words = {"idle"}
    for dialog in document.dialogs:
        word = WORDS.get(dialog.state, "idle")
        params = dialog.local.target.params if dialog.local and dialog.local.target else ()
        if word == "talking" and any(p.name == "+sip.rendering" and p.value == "no" for p in params):
            word = "held"
        words.add(word)
    return min(words, key=URGENCY.index)


class Sound:
    """The WAV files that the phone plays into its calls, and in which it keeps what it hears."""

    def __init__(self, play: str, record: str) -> None:
        self._player = pj.AudioMediaPlayer() if play else None
        self._recorder = pj.AudioMediaRecorder() if record else None
        if self._player:
            self._player.createPlayer(play)
        if self._recorder:
            self._recorder.createRecorder(record)

    def connect(self, audio: pj.AudioMedia) -> None:
        if self._player:
            self._player.startTransmit(audio)
        if self._recorder:
            audio.startTransmit(self._recorder)

    def close(self) -> None:
        self._player = self._recorder = None


class Call(pj.Call):  # type: ignore[misc]
    """A call of the phone, which reports what happens to it."""

    def __init__(self, account: Account, number: int = pj.PJSUA_INVALID_ID) -> None:
        super().__init__(account, number)
        self._sound = account.sound

    def onCallState(self, prm: Any) -> None:  # noqa: N802
        info = self.getInfo()
        state, code, reason = info.stateText.lower(), info.lastStatusCode, info.lastReason
        report("call", state=state, code=code, reason=reason, remote=info.remoteUri)
        event = prm.e.body.tsxState
        if info.state == pj.PJSIP_INV_STATE_CONNECTING and event.type == pj.PJSIP_EVENT_RX_MSG:
            identity = IDENTITY.search(event.src.rdata.wholeMsg)
            report("answered", identity=identity[1] if identity else "")

    def onCallMediaState(self, prm: Any) -> None:  # noqa: N802
        states = {
            pj.PJSUA_CALL_MEDIA_ACTIVE: "active",
            pj.PJSUA_CALL_MEDIA_LOCAL_HOLD: "held by us",
            pj.PJSUA_CALL_MEDIA_REMOTE_HOLD: "held by them",
        }
        info = self.getInfo()  # owns the streams: it has to outlive them
        media = [states.get(stream.status, "none") for stream in info.media]
        report("media", state=media[0] if media else "none")
        if media and media[0] == "active":
            self._sound.connect(self.getAudioMedia(0))

    def onCallTransferStatus(self, prm: Any) -> None:  # noqa: N802
        report("transfer", code=prm.statusCode, reason=prm.reason, final=prm.finalNotify)

    def report_received(self) -> None:
        """Report how many packets of the other phone's voice have come so far."""
        received = self.getStreamStat(0).rtcp.rxStat
        report("received", packets=received.pkt, lost=received.loss)


class Account(pj.Account):  # type: ignore[misc]
    """The phone's line, its newest call, and the call that it holds while it consults somebody else."""

    call: Call | None = None
    held: Call | None = None

    def __init__(self, sound: Sound) -> None:
        super().__init__()
        self.sound = sound

    def onRegState(self, prm: Any) -> None:  # noqa: N802
        report("registered" if prm.code == 200 else "registration failed", code=prm.code)

    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
        self.call = Call(self, prm.callId)
        identity = IDENTITY.search(prm.rdata.wholeMsg)
        remote = self.call.getInfo().remoteUri
        report("incoming", remote=remote, identity=identity[1] if identity else "")
        self.answer(180)

    def answer(self, code: int) -> None:
        """Send a response to the INVITE of the newest call."""
        parameter = pj.CallOpParam()
        parameter.statusCode = code
        if self.call:
            self.call.answer(parameter)


class Phone:
    """The endpoint, one account and the watched lamps."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._endpoint = pj.Endpoint()
        self._start()
        self._sound = Sound(options.play, options.record)
        self._known: dict[str, DialogInfo] = {}  # what the key of an extension was told last
        self._account = self._register()
        self._module = self._watch_notifies()
        self._buddies = [self._watch(user) for user in options.watch.split(",") if user]

    def _start(self) -> None:
        """Start PJSUA2 on loopback, without threads of its own and without a sound card."""
        config = pj.EpConfig()
        config.uaConfig.threadCnt = 0
        config.uaConfig.mainThreadOnly = True
        config.uaConfig.userAgent = "blfd simulated phone"
        config.logConfig.level = config.logConfig.consoleLevel = self._options.verbose
        self._endpoint.libCreate()
        self._endpoint.libInit(config)
        transport = pj.TransportConfig()
        transport.boundAddress = "127.0.0.1"
        kinds = {"udp": pj.PJSIP_TRANSPORT_UDP, "tcp": pj.PJSIP_TRANSPORT_TCP, "tls": pj.PJSIP_TRANSPORT_TLS}
        self._endpoint.transportCreate(kinds[self._options.transport], transport)
        self._endpoint.libStart()
        self._endpoint.audDevManager().setNullDev()
        self._endpoint.codecSetPriority("PCMU", 255)  # PJSIP would begin with Speex, no desk phone does

    def _uri(self, user: str) -> str:
        transport = self._options.transport
        parameter = "" if transport == "udp" else f";transport={transport}"
        return f"sip:{user}@{self._options.server}{parameter}"

    def _register(self) -> Account:
        options = self._options
        config = pj.AccountConfig()
        config.idUri = f"sip:{options.user}@{options.server}"
        config.regConfig.registrarUri = self._uri("").replace("@", "")
        credentials = pj.AuthCredInfo("digest", "*", options.user, 0, options.password)
        config.sipConfig.authCreds.append(credentials)
        config.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
        account = Account(self._sound)
        account.create(config)
        return account

    def _watch(self, user: str) -> pj.Buddy:
        """Subscribe to the lamp of an extension (Event: dialog), which PJSUA2's classes do not offer."""
        config = pj.BuddyConfig()
        config.uri = self._uri(user)
        config.subscribe = False
        buddy = pj.Buddy()
        buddy.create(self._account, config)
        check("SUBSCRIBE", lib.pjsua_buddy_subscribe_dlg_event(buddy.getId(), 1))
        return buddy

    def _watch_notifies(self) -> tuple[CData, ...]:
        """Have PJSIP show us each request; what is returned has to live as long as PJSIP does."""
        module, name = ffi.new("pjsip_module *"), ffi.new("char[]", b"mod-lamps")
        function = callback("pj_bool_t(pjsip_rx_data *)", self._on_request, 0)
        module.name.ptr, module.name.slen = name, 9
        module.id, module.priority, module.on_rx_request = -1, BEFORE_DIALOGS, function
        check("module", lib.pjsip_endpt_register_module(lib.pjsua_get_pjsip_endpt(), module))
        return module, name, function

    def _on_request(self, rdata: CData) -> int:
        """Report the lamp that a NOTIFY tells of, and leave the request to PJSIP."""
        message = rdata.msg_info.msg
        if string(message.line.req.method.name) == "NOTIFY" and message.body:
            body = raw(ffi.new("pj_str_t *", (ffi.cast("char *", message.body.data), message.body.len)))
            try:
                document = parse(body)
            except DialogInfoError as error:
                report("bad document", why=str(error))
                return 0
            self._known[document.entity.partition(":")[2].partition("@")[0]] = document
            report(
                "lamp",
                entity=document.entity,
                lamp=lamp(document),
                version=document.version,
                document=body.decode(),
            )
        return 0

    def run(self) -> None:
        """Serve SIP and commands until `quit` or the end of standard input."""
        pending = b""
        while True:
            self._endpoint.libHandleEvents(10)
            if not select.select([0], [], [], 0)[0]:
                continue
            data = os.read(0, 65536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                if not self._do(json.loads(line)):
                    return

    def _press(self, extension: str) -> None:
        """Press the key of a lamp: pick up what rings there, by a Replaces made of the NOTIFY, or call."""
        parameter, known = pj.CallOpParam(True), self._known.get(extension)
        ringing = [d for d in known.dialogs if d.state is DialogState.EARLY and d.call_id] if known else []
        if ringing:
            header, dialog = pj.SipHeader(), ringing[0]
            header.hName = "Replaces"
            tags = f"to-tag={dialog.remote_tag};from-tag={dialog.local_tag}"
            header.hValue = f"{dialog.call_id};{tags};early-only"
            parameter.txOption.headers.append(header)
        self._call(extension, parameter)

    def _call(self, to: str, parameter: pj.CallOpParam) -> None:
        self._account.call = Call(self._account)
        self._account.call.makeCall(self._uri(to), parameter)

    def _consult(self, call: Call, to: str) -> None:
        """Hold the call, and make another one."""
        call.setHold(pj.CallOpParam(True))
        self._account.held = call
        self._call(to, pj.CallOpParam(True))

    def _transfer(self, call: Call, to: str) -> None:
        """Transfer the call to an extension; without one, the call on hold to the other end of this one."""
        parameter, held = pj.CallOpParam(True), self._account.held
        if to:
            call.xfer(self._uri(to), parameter)
        elif held:
            held.xferReplaces(call, parameter)

    def _do(self, command: dict[str, Any]) -> bool:
        """Carry out a command; returns False after the last one."""
        account, parameter = self._account, pj.CallOpParam(True)
        call = account.call
        match command["do"]:
            case "quit":
                return False
            case "call":
                self._call(command["to"], parameter)
            case "press":
                self._press(command["key"])
            case "answer":
                account.answer(command.get("code", 200))
            case "hold" if call:
                call.setHold(parameter)
            case "unhold" if call:
                parameter.opt.flag = pj.PJSUA_CALL_UNHOLD
                call.reinvite(parameter)
            case "consult" if call:
                self._consult(call, command["to"])
            case "transfer" if call:
                self._transfer(call, command.get("to", ""))
            case "hangup" if call:
                parameter.statusCode = command.get("code", 0)
                call.hangup(parameter)
            case "measure" if call:
                call.report_received()
            case "info" if call:
                request = pj.CallSendRequestParam()
                request.method = "INFO"
                request.txOption.contentType = "application/dtmf-relay"
                request.txOption.msgBody = command["body"]
                call.sendRequest(request)
        return True

    def close(self) -> None:
        self._account.call = self._account.held = None
        self._sound.close()
        self._buddies.clear()
        self._account.shutdown()
        self._endpoint.libDestroy()


def main() -> None:
    parser = argparse.ArgumentParser(description="A simulated phone.")
    parser.add_argument("--server", required=True, help="HOST:PORT")
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", default="")
    parser.add_argument("--transport", choices=("udp", "tcp", "tls"), default="udp")
    parser.add_argument("--watch", default="", help="extensions, with commas")
    parser.add_argument("--play", default="", help="a WAV file to play into calls")
    parser.add_argument("--record", default="", help="a WAV file for what calls bring")
    parser.add_argument("--verbose", type=int, default=0, help="PJSIP's log level")
    phone = Phone(parser.parse_args())
    try:
        phone.run()
    finally:
        phone.close()
    os._exit(0)  # the classes' destructors would call a library that is gone


if __name__ == "__main__":
    main()
