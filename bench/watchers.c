/* watchers: subscriptions, and what each NOTIFY says. */
#define _GNU_SOURCE
#include "load.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWERED = 1, NOTIFIED = 2, UP = 3, FAILED = 4 };  /* a subscription is UP when both have come */

typedef struct {
	Retry retry;
	int64_t started, heard;  /* heard: when its last NOTIFY came */
	char *authorization;
	int progress, cseq, notify_cseq, version, change;
	Lamp lamp;
} Watcher;

static Watcher *watchers;
Seen seen;
Change change;
Samples setup;
int watcher_count, watched, up, digest;

void watchers_open(void) { watchers = calloc(WATCHERS_MAX, sizeof *watchers); }

/* A watcher with a second key watches the next extension, not the same one twice. */
static int extension_of(int i) { return FIRST_PHONE + (i + i / WATCHER_NAMES) % watched; }

static void subscribe_send(int i)
{
	Watcher *w = &watchers[i];
	char text[MESSAGE_MAX];
	uint64_t id = identifier('w', i, 0);
	int extension = extension_of(i), from = FIRST_WATCHER + i % WATCHER_NAMES;
	int n = snprintf(text, sizeof text,
		"SUBSCRIBE sip:%d@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;rport;branch=z9hG4bKw%d.%d.%d\r\n"
		"From: <sip:%d@%s>;tag=%08x\r\nTo: <sip:%d@%s>\r\nCall-ID: %016" PRIx64 "\r\nCSeq: %d SUBSCRIBE\r\n"
		"Contact: <sip:w%d@%s:%d>\r\nMax-Forwards: 70\r\nEvent: dialog\r\nAccept: application/dialog-info+xml\r\n"
		"Expires: 3600\r\nUser-Agent: blfd-bench\r\n%sContent-Length: 0\r\n\r\n",
		extension, server_name, local_ip, port_of(i), i, w->cseq, run_id, from, server_name, (unsigned)id, extension,
		server_name, id, w->cseq, i, local_ip, port_of(i), w->authorization ? w->authorization : "");
	transmit(i, text, n);
}

static void subscribe_start(int i)
{
	Watcher *w = &watchers[i];
	w->cseq++;
	retry_start(&w->retry);
	if (!w->started) w->started = w->retry.since;
	subscribe_send(i);
}

static void watcher_failed(Watcher *w, int status)
{
	if (w->progress & FAILED) return;
	w->progress |= FAILED;
	w->retry.due = 0;
	refused[status]++, failed++;
}

static void watcher_progress(Watcher *w, int what, int64_t t)
{
	if ((w->progress & UP) == UP) return;
	w->progress |= what;
	if ((w->progress & UP) != UP) return;
	up++;
	sample(&setup, t - w->started);
}

void on_subscribe_response(int i, int cseq, int status, const Packet *p)
{
	Watcher *w = &watchers[i];
	char user[16], uri[128];
	if (i >= watcher_count || cseq != w->cseq || !w->retry.due || status < 200) return;
	w->retry.due = 0;
	if (status == 401 && digest && !w->authorization) {
		snprintf(user, sizeof user, "%d", FIRST_WATCHER + i % WATCHER_NAMES);
		char password[24];
		snprintf(password, sizeof password, "pw%s", user);
		snprintf(uri, sizeof uri, "sip:%d@%s", extension_of(i), server_name);
		if ((w->authorization = digest_answer(p->text, "SUBSCRIBE", uri, user, password))) {
			subscribe_start(i);
			return;
		}
	}
	if (status >= 300) watcher_failed(w, status);
	else watcher_progress(w, ANSWERED, p->arrived);
}

static Lamp lamp_of(const char *document)
{
	Lamp strongest = DARK;
	for (const char *at = document; (at = strstr(at, "<state")) && (at = strchr(at, '>'));) {
		at += 1 + strspn(at + 1, " \t\r\n");
		Lamp lamp = DARK;
		switch (at[0] | 0x20) {
		case 't': lamp = (at[1] | 0x20) == 'e' ? TERMINATED : TRYING; break;
		case 'p': lamp = PROCEEDING; break;
		case 'e': lamp = EARLY; break;
		case 'c': lamp = CONFIRMED; break;
		}
		if (lamp > strongest) strongest = lamp;
	}
	return strongest;
}

static int version_of(const char *document)
{
	const char *at = strstr(document, "<dialog-info");
	if (at) at = strstr(at, "version=\"");
	return at ? atoi(at + 9) : -1;
}

/* Takes a new document at one watcher: does it show the change? */
static void lamp_shown(Watcher *w, const Packet *p)
{
	const char *document = body(p);
	int version = version_of(document);
	w->lamp = lamp_of(document);
	if (w->version >= 0 && version != w->version + 1) seen.jumps++;
	w->version = version;
	if (!change.left || w->change == change.number) return;
	if (w->lamp != change.lamp) {
		seen.unexpected++;
		return;
	}
	w->change = change.number;
	change.left--;
	if (p->arrived > change.latest) change.latest = p->arrived;
}

void on_notify(int i, const Packet *p)
{
	Watcher *w = &watchers[i];
	char text[MESSAGE_MAX];
	Text cseq = header(p->text, "CSeq", 0), state = header(p->text, "Subscription-State", 0);
	int number = cseq.at ? atoi(cseq.at) : 0;
	int n = echo(p, i < watcher_count ? "200 OK" : "481 Unknown", "n", text, sizeof text - 32);
	n += sprintf(text + n, "Content-Length: 0\r\n\r\n");
	wire_send(p->port, text, n);
	if (i >= watcher_count) return;
	if (number <= w->notify_cseq) {
		seen.repeats++;
		return;
	}
	w->notify_cseq = number;
	w->heard = p->arrived;
	seen.notifies++, seen.latest = p->arrived;
	if (state.len >= 10 && !strncmp(state.at, "terminated", 10)) watcher_failed(w, 0);
	lamp_shown(w, p);
	watcher_progress(w, NOTIFIED, p->arrived);
}

void watcher_add(void)
{
	watchers[watcher_count].version = -1;
	subscribe_start(watcher_count++);
}

/* When the last watcher heard of the server after `since`; 0 while some have not heard of it. */
int64_t watchers_heard(int64_t since)
{
	int64_t last = since;
	for (int i = 0; i < watcher_count; i++) {
		if (watchers[i].heard < since) return 0;
		if (watchers[i].heard > last) last = watchers[i].heard;
	}
	return last;
}

int lamps_left_lit(void)
{
	int lit = 0;
	for (int i = 0; i < watcher_count; i++) lit += watchers[i].lamp != TERMINATED;
	return lit;
}

void watchers_retransmit(int64_t t)
{
	for (int i = 0; i < watcher_count; i++)
		switch (retry_check(&watchers[i].retry, t)) {
		case RETRY_SEND: subscribe_send(i); break;
		case RETRY_GIVE_UP: watcher_failed(&watchers[i], 408); break;
		}
}
