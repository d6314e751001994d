/* pickup: phones that dial the code for phone 0 at the same moment. */
#define _GNU_SOURCE
#include "load.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef enum { IDLE, ASKING, HANGING_UP } PickerState;

typedef struct {
	Retry retry;
	PickerState state;
	int generation;
	Dialog dialog;
} Picker;

static Picker pickers[PICKERS_MAX];
Samples picked, late;
int picking, won;
int64_t asked_at;

static void picker_send(int i, const char *method, const char *target, const char *to, char branch, int cseq)
{
	char text[MESSAGE_MAX];
	Picker *p = &pickers[i];
	uint64_t id = identifier('q', i, p->generation);
	int n = snprintf(text, sizeof text - 512,
		"%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;rport;branch=z9hG4bK%c%d.%d.%d\r\n%sFrom: <sip:%d@%s>;tag=%08x\r\n"
		"To: %s\r\nCall-ID: %016" PRIx64 "\r\nCSeq: %d %s\r\nContact: <sip:q%d@%s:%d>\r\nMax-Forwards: 70\r\n",
		method, target, local_ip, port_of(i), branch, i, p->generation, run_id, p->dialog.routes, FIRST_WATCHER + i,
		server_name, (unsigned)id, to, id, cseq, method, i, local_ip, port_of(i));
	n += content(text + n, !strcmp(method, "INVITE"));
	transmit(i, text, n);
}

/* Sends an INVITE, or the ACK for its refusal. */
static void picker_send_first(int i, const char *method, const char *to)
{
	char uri[128], name[136];
	snprintf(uri, sizeof uri, "sip:*97%d@%s", FIRST_PHONE, server_name);
	snprintf(name, sizeof name, "<%s>", uri);
	picker_send(i, method, uri, to ? to : name, 'q', 1);
}

void pickers_ask(int count)
{
	asked_at = now();
	for (int i = 0; i < count; i++) {
		Picker *p = &pickers[i];
		p->generation++;
		p->state = ASKING;
		p->dialog.routes[0] = 0;
		retry_start(&p->retry);
		picking++;
		picker_send_first(i, "INVITE", NULL);
	}
	wire_flush();
}

static void picker_done(Picker *p)
{
	p->state = IDLE;
	p->retry.due = 0;
	picking--;
}

static void on_final(int i, int status, const Packet *m)
{
	Picker *p = &pickers[i];
	char to[256];
	Text value = header(m->text, "To", 't');
	snprintf(to, sizeof to, "%.*s", value.len, value.at ? value.at : "");
	if (status >= 300) {
		picker_send_first(i, "ACK", to);
		if (p->state != ASKING) return;
		refused[status]++;
		sample(&late, m->arrived - asked_at);
		picker_done(p);
		return;
	}
	if (p->state == ASKING) {
		won++;
		sample(&picked, m->arrived - asked_at);
		dialog_learn(&p->dialog, m);
		p->state = HANGING_UP;
	}
	picker_send(i, "ACK", p->dialog.target, p->dialog.remote, 'k', 1);
	picker_send(i, "BYE", p->dialog.target, p->dialog.remote, 'x', 2);
	retry_start(&p->retry);
}

void on_picker_response(char kind, int i, int generation, int status, const Packet *m)
{
	Picker *p = &pickers[i];
	if (i >= PICKERS_MAX || generation != p->generation) return;
	if (kind == 'q' && status < 200) p->retry.due = 0;
	else if (kind == 'q') on_final(i, status, m);
	else if (kind == 'x' && p->state == HANGING_UP && status >= 200) picker_done(p);
}

void pickers_retransmit(int64_t t)
{
	for (int i = 0; i < PICKERS_MAX; i++) {
		Picker *p = &pickers[i];
		switch (retry_check(&p->retry, t)) {
		case RETRY_GIVE_UP: failed++, picker_done(p); break;
		case RETRY_SEND:
			if (p->state == ASKING) picker_send_first(i, "INVITE", NULL);
			else picker_send(i, "BYE", p->dialog.target, p->dialog.remote, 'x', 2);
		}
	}
}
