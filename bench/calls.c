/* calls: the two ends of each call, which are caller i and phone i. */
#define _GNU_SOURCE
#include "load.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RING (200 * MS)
#define TALK (300 * MS)

typedef enum { FREE, CALLING, RINGING, TALKING, CANCELLING, CLOSING } CallerState;
typedef enum { NO_CALL, INVITED, RANG, ACCEPTED, TALKS, REFUSED } CalleeState;

typedef struct {  /* phone i, which registers and is called by caller i, with the leg of that caller */
	Retry registering, caller, callee;
	int registered, generation;
	CallerState calling;
	CalleeState called;
	int64_t started, hang_up, accept;
	Dialog dialog;                                  /* the dialog of the caller */
	char invite[2048];                              /* the header fields that the callee's responses repeat */
} Phone;

static Phone *phones;
Calls calls;
Samples ringing, ringing_out, answered;
int registered, by_hand, carrier;

void phones_open(void) { phones = calloc(PHONES_MAX, sizeof *phones); }

static const char session[] =
	"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 101\r\n"
	"a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\n";

int content(char *out, int with_session)
{
	if (!with_session) return sprintf(out, "Content-Length: 0\r\n\r\n");
	return sprintf(out, "Content-Type: application/sdp\r\nContent-Length: %zu\r\n\r\n%s", strlen(session), session);
}

int phone_is_free(int i) { return phones[i].calling == FREE && phones[i].called == NO_CALL; }
int phone_is_invited(int i) { return phones[i].called == INVITED; }

static void register_send(int i)
{
	char text[MESSAGE_MAX];
	int user = FIRST_PHONE + i;
	uint64_t id = identifier('r', i, 0);
	int n = snprintf(text, sizeof text,
		"REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;rport;branch=z9hG4bKr%d.1.%d\r\nFrom: <sip:%d@%s>;tag=%08x\r\n"
		"To: <sip:%d@%s>\r\nCall-ID: %016" PRIx64 "\r\nCSeq: 1 REGISTER\r\nContact: <sip:p%d@%s:%d>\r\nMax-Forwards: 70\r\n"
		"Expires: 3600\r\nContent-Length: 0\r\n\r\n", server_name, local_ip, port_of(i), i, run_id, user, server_name,
		(unsigned)id, user, server_name, id, i, local_ip, port_of(i));
	transmit(i, text, n);
}

void phone_register(int i)
{
	retry_start(&phones[i].registering);
	register_send(i);
}

/* Calls with an even i come from the carrier, whose numbers are 4930 and those of the phones; the others go there, to 0
 * and the number. */
static int is_outside(int i, char end) { return carrier && (end == 'c') == (i % 2 == 0); }

static int socket_of(int i, char end) { return is_outside(i, end) ? carrier : i % wire_ports(); }

/* ------------------------------------------------------------------------------------------- caller */

typedef struct { const char *method, *target, *to, *routes; char branch; int cseq; } CallerRequest;

static void caller_send(int i, CallerRequest r)
{
	char text[MESSAGE_MAX];
	Phone *p = &phones[i];
	int at = socket_of(i, 'c');
	uint64_t id = identifier('c', i, p->generation);
	int n = snprintf(text, sizeof text - 512,
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;rport;branch=z9hG4bK%c%d.%d.%d\r\n%sFrom: <sip:%d@%s>;tag=%08x\r\n"
		"To: %s\r\nCall-ID: %016" PRIx64 "\r\nCSeq: %d %s\r\nContact: <sip:c%d@%s:%d>\r\nMax-Forwards: 70\r\n",
		r.method, r.target, wire_ip(at), wire_port(at), r.branch, i, p->generation, run_id, r.routes, FIRST_CALLER + i,
		is_outside(i, 'c') ? wire_ip(at) : server_name, (unsigned)id, r.to, id, r.cseq, r.method, i, wire_ip(at), wire_port(at));
	n += content(text + n, !strcmp(r.method, "INVITE"));
	transmit_by(at, text, n);
}

/* Sends an INVITE, or what follows it outside a dialog: CANCEL, and ACK for a refusal. */
static void caller_send_first(int i, const char *method, const char *to)
{
	char uri[128], name[136];
	const char *before = is_outside(i, 'c') ? "4930" : is_outside(i, 'p') ? "0" : "";
	snprintf(uri, sizeof uri, "sip:%s%d@%s", before, FIRST_PHONE + i, server_name);
	snprintf(name, sizeof name, "<%s>", uri);
	caller_send(i, (CallerRequest){method, uri, to ? to : name, "", 'i', 1});
}

static void caller_send_within(int i, const char *method, char branch, int cseq)
{
	Phone *p = &phones[i];
	caller_send(i, (CallerRequest){method, p->dialog.target, p->dialog.remote, p->dialog.routes, branch, cseq});
}

void call_start(int i)
{
	Phone *p = &phones[i];
	p->generation++;
	p->calling = CALLING;
	calls.started++, calls.active++;
	caller_send_first(i, "INVITE", NULL);
	retry_start(&p->caller);
	p->started = p->caller.since;
}

static void call_over(int i, int completed)
{
	Phone *p = &phones[i];
	p->calling = FREE;
	p->caller.due = p->hang_up = 0;
	calls.active--;
	if (completed) calls.completed++;
	else calls.failed++;
}

void caller_bye(int i)
{
	phones[i].calling = CLOSING;
	phones[i].hang_up = 0;
	caller_send_within(i, "BYE", 'b', 2);
	retry_start(&phones[i].caller);
}

void caller_cancel(int i)
{
	phones[i].calling = CANCELLING;
	caller_send_first(i, "CANCEL", NULL);
	retry_start(&phones[i].caller);
}

/* The Record-Routes of a response, in reverse, are the caller's route set (RFC 3261, section 12.1.2). */
void dialog_learn(Dialog *d, const Packet *m)
{
	char reversed[sizeof d->routes + 16];
	Text to = header(m->text, "To", 't'), contact = header(m->text, "Contact", 'm');
	const char *uri = contact.at ? memchr(contact.at, '<', contact.len) : NULL;
	snprintf(d->remote, sizeof d->remote, "%.*s", to.len, to.at ? to.at : "");
	snprintf(d->target, sizeof d->target, "%.*s", uri ? (int)strcspn(uri + 1, ">\r\n") : 0, uri ? uri + 1 : "");
	d->routes[0] = 0;
	for (Text r = header(m->text, "Record-Route", 0); r.at; r = header(r.at, "Record-Route", 0)) {
		if (r.len + strlen(d->routes) + 10 >= sizeof d->routes) break;
		snprintf(reversed, sizeof reversed, "Route: %.*s\r\n%s", r.len, r.at, d->routes);
		strcpy(d->routes, reversed);
	}
}

static void on_invite_accepted(int i, const Packet *m)
{
	Phone *p = &phones[i];
	int first = p->calling == CALLING || p->calling == RINGING;
	if (first) {
		p->caller.due = 0;
		p->calling = TALKING;
		p->hang_up = by_hand ? 0 : m->arrived + TALK;
		dialog_learn(&p->dialog, m);
		if (asked_at) sample(&answered, m->arrived - asked_at);
	}
	caller_send_within(i, "ACK", 'a', 1);
}

static void on_invite_refused(int i, int status, const Packet *m)
{
	Phone *p = &phones[i];
	char to[256];
	Text value = header(m->text, "To", 't');
	snprintf(to, sizeof to, "%.*s", value.len, value.at ? value.at : "");
	caller_send_first(i, "ACK", to);
	if (p->calling == FREE) return;
	int cancelled = p->calling == CANCELLING && status == 487;
	if (!cancelled) refused[status]++;
	call_over(i, cancelled);
}

static void on_invite_response(int i, int status, const Packet *m)
{
	Phone *p = &phones[i];
	if (status >= 300) on_invite_refused(i, status, m);
	else if (status >= 200) on_invite_accepted(i, m);
	else if (p->calling == CALLING) {
		p->caller.due = 0;
		if (status == 100) return;
		p->calling = RINGING;
		sample(is_outside(i, 'p') ? &ringing_out : &ringing, m->arrived - p->started);
	}
}

void on_phone_response(char kind, int i, int generation, int status, const Packet *m)
{
	Text cseq = header(m->text, "CSeq", 0);
	Phone *p = &phones[i];
	if (kind == 'r') {
		if (status < 200 || !p->registering.due) return;
		p->registering.due = 0;
		if (status < 300) registered++;
		else refused[status]++, failed++;
		return;
	}
	if (generation != p->generation || !cseq.at) return;
	if (memmem(cseq.at, cseq.len, "INVITE", 6)) on_invite_response(i, status, m);
	else if (memmem(cseq.at, cseq.len, "CANCEL", 6)) p->caller.due = 0;
	else if (kind == 'b' && p->calling == CLOSING && status >= 200) {
		if (status >= 300) refused[status]++;
		call_over(i, status < 300);
	}
}

/* ------------------------------------------------------------------------------------------- callee */

/* The status line is not in `invite`: one copy serves 180, 200 and 487. */
static void callee_send(int i, const char *status, int with_session)
{
	char text[MESSAGE_MAX];
	int at = socket_of(i, 'p');
	int n = snprintf(text, sizeof text - 512, "SIP/2.0 %s\r\n%sContact: <sip:p%d@%s:%d>\r\n", status, phones[i].invite, i,
		wire_ip(at), wire_port(at));
	n += content(text + n, with_session);
	transmit_by(at, text, n);
}

void callee_ring(int i)
{
	phones[i].called = RANG;
	phones[i].accept = by_hand ? 0 : now() + RING;
	callee_send(i, "180 Ringing", 0);
}

void callee_accept(int i)
{
	phones[i].called = ACCEPTED;
	phones[i].accept = 0;
	callee_send(i, "200 OK", 1);
	retry_start(&phones[i].callee);
}

static void on_invite(int i, const Packet *m)
{
	Phone *p = &phones[i];
	char lines[sizeof p->invite], tag[32];
	snprintf(tag, sizeof tag, "%08x", (unsigned)identifier('p', i, p->generation));
	echo(m, "", tag, lines, sizeof lines);
	const char *repeated = strchr(lines, '\n') + 1;
	if (p->called != NO_CALL && strcmp(repeated, p->invite)) {
		char text[MESSAGE_MAX];
		int n = echo(m, "486 Busy Here", "busy", text, sizeof text - 32);
		n += content(text + n, 0);
		wire_send(m->port, text, n);
		return;
	}
	if (p->called != NO_CALL) return;
	strcpy(p->invite, repeated);
	p->called = INVITED;
	if (by_hand) callee_send(i, "100 Trying", 0);
	else callee_ring(i);
}

static void on_ack(Phone *p)
{
	p->callee.due = 0;
	if (p->called == ACCEPTED) p->called = TALKS;
	else if (p->called == REFUSED) p->called = NO_CALL;
}

static void on_hang_up(int i, char owner, int cancelled)
{
	Phone *p = &phones[i];
	if (owner == 'c') {
		if (p->calling == TALKING) call_over(i, asked_at != 0);  /* a picker hangs up, no phone does */
	} else if (!cancelled) {
		p->called = NO_CALL;
		p->callee.due = 0;
	} else if (p->called == INVITED || p->called == RANG) {
		p->called = REFUSED;
		p->accept = 0;
		callee_send(i, "487 Request Terminated", 0);
		retry_start(&p->callee);
	}
}

void on_phone_request(char owner, int i, const char *method, const Packet *m)
{
	char text[MESSAGE_MAX];
	Text to = header(m->text, "To", 't');
	int ends = !strcmp(method, "BYE") || !strcmp(method, "CANCEL");
	if (!strcmp(method, "ACK")) {
		on_ack(&phones[i]);
		return;
	}
	if (!strcmp(method, "INVITE") && owner == 'p' && !memmem(to.at, to.len, ";tag=", 5)) {
		on_invite(i, m);
		return;
	}
	int n = echo(m, ends || !strcmp(method, "OPTIONS") ? "200 OK" : "488 Not Acceptable Here", "x", text, sizeof text - 32);
	n += content(text + n, 0);
	wire_send(m->port, text, n);
	if (ends) on_hang_up(i, owner, method[0] == 'C');
}

/* ------------------------------------------------------------------------------------------- time */

void calls_due(int64_t t)
{
	if (!calls.active) return;
	for (int i = 0; i < PHONES_MAX; i++) {
		if (phones[i].accept && t >= phones[i].accept) callee_accept(i);
		if (phones[i].hang_up && t >= phones[i].hang_up) caller_bye(i);
	}
}

static void phone_retransmit(int i, int64_t t)
{
	Phone *p = &phones[i];
	if (retry_check(&p->registering, t) == RETRY_SEND) register_send(i);
	if (retry_check(&p->callee, t) == RETRY_SEND)
		callee_send(i, p->called == REFUSED ? "487 Request Terminated" : "200 OK", p->called != REFUSED);
	switch (retry_check(&p->caller, t)) {
	case RETRY_GIVE_UP: call_over(i, 0); break;
	case RETRY_SEND:
		if (p->calling == CALLING) caller_send_first(i, "INVITE", NULL);
		else if (p->calling == CANCELLING) caller_send_first(i, "CANCEL", NULL);
		else caller_send_within(i, "BYE", 'b', 2);
	}
}

void phones_retransmit(int64_t t)
{
	for (int i = 0; i < PHONES_MAX; i++) phone_retransmit(i, t);
}
