/* publish: calls as a proxy publishes them, by three PUBLISHes each: the call rings, is answered, and is over. */
#include "load.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
	Retry retry;
	int64_t sent;
	int cseq;          /* the number of its last request; three make a call */
	char etag[128];
} Publication;

static Publication publications[PHONES_MAX];
Samples taken;
int published;

static const char *const STATES[] = {"early", "confirmed", "terminated"};

static void publish_send(int i)
{
	Publication *p = &publications[i];
	char text[MESSAGE_MAX], document[1024], match[160] = "";
	int extension = FIRST_PHONE + i, step = (p->cseq - 1) % 3, call = (p->cseq - 1) / 3;
	uint64_t id = identifier('u', i, call), mine = identifier('u', i, 0);
	int size = snprintf(document, sizeof document,
		"<?xml version=\"1.0\"?>\n<dialog-info xmlns=\"urn:ietf:params:xml:ns:dialog-info\" version=\"0\" state=\"full\" "
		"entity=\"sip:%d@%s\">\n<dialog id=\"%016" PRIx64 "\" call-id=\"%016" PRIx64 "\" direction=\"recipient\">\n<state>%s</state>\n"
		"<remote>\n<identity>sip:%d@%s</identity>\n<target uri=\"sip:%d@%s\"/>\n</remote>\n<local>\n<identity>sip:%d@%s</identity>\n"
		"<target uri=\"sip:%d@%s\"/>\n</local>\n</dialog>\n</dialog-info>\n",
		extension, server_name, id, id, STATES[step], FIRST_CALLER, server_name, FIRST_CALLER, server_name, extension,
		server_name, extension, server_name);
	if (step) snprintf(match, sizeof match, "SIP-If-Match: %s\r\n", p->etag);
	int n = snprintf(text, sizeof text,
		"PUBLISH sip:%d@%s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;rport;branch=z9hG4bKu%d.%d.%d\r\n"
		"From: <sip:%d@%s>;tag=%08x\r\nTo: <sip:%d@%s>\r\nCall-ID: %016" PRIx64 "\r\nCSeq: %d PUBLISH\r\nMax-Forwards: 70\r\n"
		"Event: dialog\r\nExpires: %d\r\n%sContent-Type: application/dialog-info+xml\r\nContent-Length: %d\r\n\r\n%s",
		extension, server_name, local_ip, port_of(i), i, p->cseq, run_id, extension, server_name, (unsigned)mine, extension,
		server_name, mine, p->cseq, step == 2 ? 11 : 3600, match, size, document);
	transmit(i, text, n);
}

int publication_is_idle(int i) { return !publications[i].retry.due; }

int publication_goes_on(int i) { return publication_is_idle(i) && publications[i].cseq % 3; }

void publish_next(int i)
{
	Publication *p = &publications[i];
	p->cseq++;
	retry_start(&p->retry);
	p->sent = p->retry.since;
	publish_send(i);
}

static void publish_failed(Publication *p, int status)
{
	p->retry.due = 0;
	p->cseq += (3 - p->cseq % 3) % 3;  /* the next request begins a call */
	refused[status]++, failed++;
}

void on_publish_response(int i, int cseq, int status, const Packet *m)
{
	Publication *p = &publications[i];
	if (cseq != p->cseq || !p->retry.due || status < 200) return;
	Text etag = header(m->text, "SIP-ETag", 0);
	if (status >= 300 || !etag.at) {
		publish_failed(p, status);
		return;
	}
	p->retry.due = 0;
	snprintf(p->etag, sizeof p->etag, "%.*s", etag.len, etag.at);
	sample(&taken, m->arrived - p->sent);
	published++;
}

void publications_retransmit(int64_t t)
{
	for (int i = 0; i < PHONES_MAX; i++)
		switch (retry_check(&publications[i].retry, t)) {
		case RETRY_SEND: publish_send(i); break;
		case RETRY_GIVE_UP: publish_failed(&publications[i], 408); break;
		}
}
