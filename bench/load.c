/*
 * load: phones and watchers for measuring a BLF server. It reads commands on standard input, one a line, and answers
 * each by a line with a JSON object; between commands it goes on answering what the server sends.
 *
 *     load SERVER:PORT LOCAL-IP [--digest]
 *     register N                    phones 0..N-1 register (extensions 100000..)
 *     subscribe WATCHERS N RATE     WATCHERS subscriptions over the extensions of phones 0..N-1, RATE a second, or
 *                                   all at once where RATE is 0
 *     fanout CHANGES                real calls to phone 0, and how long each change takes to reach every watcher
 *     calls RATE SECONDS N          RATE calls a second to phones 0..N-1, answered and hung up
 *     trunk RATE SECONDS N ADDRESS  RATE calls a second by turns from and to numbers of a carrier at ADDRESS
 *     publish RATE SECONDS N        RATE PUBLISHes a second of calls at phones 0..N-1, three for each call
 *     ring N                        phones 1..N are called, and ring from then on
 *     heard SINCE                   the time from SINCE (ns of the wall clock) until the last watcher had a NOTIFY
 *     pickup ROUNDS PICKERS         real calls to phone 0, picked up by one of PICKERS that all ask at once
 *     options ROUNDS PAUSE          OPTIONS one by one, each when nothing has come for PAUSE milliseconds
 */
#define _GNU_SOURCE
#include "load.h"
#include <err.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

int failed, refused[700], run_id;
static Samples last[CONFIRMED + 1], any_last, options;
static int64_t options_sent; /* when OPTIONS was sent; 0 if none is out */
static int options_round;

uint64_t identifier(char kind, int index, int generation)
{
	uint64_t x = ((uint64_t)run_id << 40) + ((uint64_t)generation << 28) + ((uint64_t)kind << 20) + index;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;  /* SplitMix64's mixing step */
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

int port_of(int index) { return wire_port(index % wire_ports()); }

void transmit_by(int socket, const char *text, int size)
{
	if (size >= MESSAGE_MAX) errx(2, "a message is longer than %d bytes", MESSAGE_MAX);
	wire_send(socket, text, size);
}

void transmit(int index, const char *text, int size) { transmit_by(index % wire_ports(), text, size); }

/* ------------------------------------------------------------------------------------------- reporting */

void sample(Samples *s, int64_t ns)
{
	if (s->n == s->room) s->ms = realloc(s->ms, (s->room = s->room ? 2 * s->room : 256) * sizeof *s->ms);
	s->ms[s->n++] = ns / 1e6;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void print_samples(const char *name, Samples *s)
{
	if (s->n) qsort(s->ms, s->n, sizeof *s->ms, ascending);
	printf(", \"%s\": {\"n\": %d", name, s->n);
	if (s->n) printf(", \"p50\": %.3f, \"p99\": %.3f, \"max\": %.3f", s->ms[(s->n - 1) / 2], s->ms[(s->n * 99 + 99) / 100 - 1],
		s->ms[s->n - 1]);
	printf("}");
	s->n = 0;
}

static void print_refused(void)
{
	const char *comma = "";
	printf(", \"refused\": {");
	for (int i = 0; i < 700; i++)
		if (refused[i]) printf("%s\"%d\": %d", comma, i, refused[i]), comma = ", ", refused[i] = 0;
	printf("}");
}

/* ------------------------------------------------------------------------------------------- dispatch */

static void on_options_response(int round, const Packet *p)
{
	if (!options_sent || round != options_round) return;
	sample(&options, p->arrived - options_sent);
	options_sent = 0;
}

static void on_response(const Packet *p)
{
	int index, generation, status = atoi(p->text + 8);
	char kind;
	const char *branch = strstr(p->text, "branch=z9hG4bK");
	if (!branch || sscanf(branch + 14, "%c%d.%d", &kind, &index, &generation) != 3) return;
	if (kind == 'o') on_options_response(generation, p);
	else if (kind == 'w') on_subscribe_response(index, generation, status, p);
	else if (kind == 'u' && index < PHONES_MAX) on_publish_response(index, generation, status, p);
	else if (strchr("qkx", kind)) on_picker_response(kind, index, generation, status, p);
	else if (index < PHONES_MAX) on_phone_response(kind, index, generation, status, p);
}

/* The user part of our Contacts says whose a request is: w(atcher), p(hone), or c(aller), and its index; a number
 * outside is 0 and the number of the phone that stands for it. */
static void on_packet(const Packet *p)
{
	int index;
	char method[16], owner;
	if (!strncmp(p->text, "SIP/2.0 ", 8)) on_response(p);
	else if (!strncmp(p->text, "NOTIFY sip:w", 12)) on_notify(atoi(p->text + 12), p);
	else if (sscanf(p->text, "%15[A-Z] sip:%c%d", method, &owner, &index) == 3) {
		if (owner == '0') owner = 'p', index -= FIRST_PHONE;
		if (index >= 0 && index < PHONES_MAX) on_phone_request(owner, index, method, p);
	}
}

static void pump(int ms)
{
	static int64_t scanned;
	wire_poll(ms, on_packet);
	int64_t t = now();
	calls_due(t);
	if (t - scanned < 50 * MS) return;
	scanned = t;
	watchers_retransmit(t);
	phones_retransmit(t);
	pickers_retransmit(t);
	publications_retransmit(t);
}

/* Waits until the server has been quiet for a while, so that all its CPU time is that of this command. */
static void settle(int quiet_ms)
{
	int64_t start = now();
	seen.latest = seen.latest > start ? seen.latest : start;
	while (now() - seen.latest < quiet_ms * MS && now() - start < 20 * SEC) pump(10);
}

static void wait_for(const int *value, int target, int seconds)
{
	for (int64_t end = now() + seconds * SEC; *value + failed < target && now() < end;) pump(20);
}

/* ------------------------------------------------------------------------------------------- commands */

/* The CPU seconds of the generator itself since the last command. */
static double own_cpu(void)
{
	static double before;
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	double total = u.ru_utime.tv_sec + u.ru_stime.tv_sec + (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6, used = total - before;
	before = total;
	return used;
}

static void report_open(int64_t started)
{
	printf("{\"seconds\": %.3f, \"own_cpu_s\": %.3f, \"notifies\": %ld, \"notify_repeats\": %ld, \"version_jumps\": %ld, "
		"\"retransmissions\": %ld, \"own_drops\": %ld", (now() - started) / 1e9, own_cpu(), seen.notifies, seen.repeats,
		seen.jumps, (long)wire_repeated, wire_drops());
}

static void report_close(void)
{
	print_refused();
	printf("}\n");
	fflush(stdout);
	memset(&seen, 0, sizeof seen);
	wire_repeated = 0, failed = 0;
}

static void command_register(int count)
{
	int64_t started = now();
	registered = 0;
	for (int i = 0; i < count; i++) {
		phone_register(i);
		if (i % 2 == 0) pump(1);
	}
	wait_for(&registered, count, 35);
	report_open(started);
	printf(", \"registered\": %d", registered);
	report_close();
}

static void command_subscribe(int count, int extensions, int rate)
{
	int64_t started = now(), sending;
	watched = extensions;
	while (watcher_count < count) {
		int64_t due = rate ? (now() - started) * rate / SEC + 1 : count;
		while (watcher_count < count && watcher_count < due) watcher_add();
		pump(1);
	}
	sending = now() - started;
	wait_for(&up, count, 35);
	settle(700);
	report_open(started);
	printf(", \"sent\": %d, \"up\": %d, \"rate\": %.0f", count, up, count * 1e9 / sending);
	print_samples("setup_ms", &setup);
	report_close();
}

/* `act` makes the change; the clock starts just before its message leaves. */
static void make_change(Lamp lamp, void (*act)(int))
{
	settle(80);
	change.lamp = lamp, change.left = watcher_count, change.latest = 0, change.number++;
	change.started = now();
	act(0);
	wire_flush();
	while (change.left && now() - change.started < 10 * SEC) pump(10);
	if (change.left) return;
	sample(&last[lamp], change.latest - change.started);
	sample(&any_last, change.latest - change.started);
}

/* Makes calls that are answered and hung up (three changes), and calls that are cancelled (two), by turns. */
static void one_call(int answered)
{
	call_start(0);
	for (int64_t end = now() + 5 * SEC; !phone_is_invited(0) && now() < end;) pump(5);
	if (!phone_is_invited(0)) errx(1, "the server did not pass the INVITE on to the phone");
	make_change(EARLY, callee_ring);
	if (answered) make_change(CONFIRMED, callee_accept);
	make_change(TERMINATED, answered ? caller_bye : caller_cancel);
	for (int64_t end = now() + 5 * SEC; calls.active && now() < end;) pump(5);
	settle(80);
	change.left = 0;
}

static void command_fanout(int changes)
{
	int64_t started = now();
	int first = change.number;
	if (!watcher_count || watched != 1) errx(2, "fanout needs watchers, all of one extension");
	by_hand = 1;
	for (int i = 0; change.number - first < changes; i++) one_call(i % 2 == 0);
	by_hand = 0;
	report_open(started);
	printf(", \"changes\": %d, \"incomplete\": %d, \"watchers\": %d, \"unexpected\": %ld, \"calls_failed\": %d",
		change.number - first, change.number - first - any_last.n, watcher_count, seen.unexpected, calls.failed);
	print_samples("last_ms", &any_last);
	print_samples("last_early_ms", &last[EARLY]);
	print_samples("last_confirmed_ms", &last[CONFIRMED]);
	print_samples("last_terminated_ms", &last[TERMINATED]);
	report_close();
}

static void command_calls(int rate, int seconds, int count)
{
	int64_t started = now();
	int callee = 0;
	for (int made = 0; made < rate * seconds;) {
		for (int64_t due = (now() - started) * rate / SEC + 1; made < due && made < rate * seconds; made++) {
			callee = (callee + 1) % count;
			if (phone_is_free(callee)) call_start(callee);
			else calls.skipped++;
		}
		pump(1);
	}
	for (int64_t end = now() + 35 * SEC; calls.active && now() < end;) pump(10);
	settle(700);
	report_open(started);
	printf(", \"started\": %d, \"completed\": %d, \"failed\": %d, \"skipped\": %d, \"lamps_left_lit\": %d",
		calls.started, calls.completed, calls.failed + calls.active,
		calls.skipped, lamps_left_lit());
	print_samples("invite_to_180_ms", &ringing);
	print_samples("out_invite_to_180_ms", &ringing_out);
	report_close();
}

static void command_trunk(int rate, int seconds, int count, const char *address)
{
	carrier = wire_add(address);
	command_calls(rate, seconds, count);
}

/* A PUBLISH of a call is sent when the one before is answered; in the end, calls that are not over are ended. */
static void command_publish(int rate, int seconds, int count)
{
	int64_t started = now();
	int next = 0, sent = 0, skipped = 0;
	published = 0;
	for (int made = 0; made < rate * seconds;) {
		for (int64_t due = (now() - started) * rate / SEC + 1; made < due && made < rate * seconds; made++) {
			next = (next + 1) % count;
			if (publication_is_idle(next)) publish_next(next), sent++;
			else skipped++;
		}
		pump(1);
	}
	wait_for(&published, sent, 35);
	for (int step = 0; step < 2; step++) {
		for (int i = 0; i < count; i++)
			if (publication_goes_on(i)) publish_next(i), sent++;
		wait_for(&published, sent, 35);
	}
	settle(700);
	report_open(started);
	printf(", \"sent\": %d, \"published\": %d, \"skipped\": %d, \"lamps_left_lit\": %d", sent, published, skipped,
		lamps_left_lit());
	print_samples("taken_ms", &taken);
	report_close();
}

static void ring(int i)
{
	call_start(i);
	for (int64_t end = now() + 5 * SEC; !phone_is_invited(i) && now() < end;) pump(1);
	if (!phone_is_invited(i)) errx(1, "the server did not pass the INVITE on to phone %d", i);
	callee_ring(i);
}

static void command_ring(int count)
{
	int64_t started = now();
	by_hand = 1;
	for (int i = 1; i <= count; i++) ring(i);
	settle(700);
	report_open(started);
	printf(", \"ringing\": %d", calls.active);
	report_close();
}

/* Each round has a call of its own, which has rung for a moment when the pickers ask for it. */
static void command_pickup(int rounds, int pickers)
{
	int64_t started = now();
	int once = 0;
	by_hand = 1;
	for (int i = 0; i < rounds; i++) {
		ring(0);
		settle(20);
		won = 0;
		pickers_ask(pickers);
		for (int64_t end = now() + 35 * SEC; (picking || !phone_is_free(0)) && now() < end;) pump(5);
		once += won == 1;
		asked_at = 0;
	}
	report_open(started);
	printf(", \"rounds\": %d, \"won_once\": %d, \"calls_failed\": %d, \"given_up\": %d", rounds, once, calls.failed, failed);
	print_samples("picked_ms", &picked);
	print_samples("late_ms", &late);
	print_samples("caller_answered_ms", &answered);
	report_close();
}

static void options_send(int round)
{
	char text[MESSAGE_MAX];
	int n = snprintf(text, sizeof text,
		"OPTIONS sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s:%d;rport;branch=z9hG4bKo0.%d.%d\r\nFrom: <sip:%d@%s>;tag=%08x\r\n"
		"To: <sip:%s>\r\nCall-ID: %016" PRIx64 "\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n",
		server_name, local_ip, port_of(0), round, run_id, FIRST_WATCHER, server_name, round, server_name,
		identifier('o', 0, round));
	transmit(0, text, n);
	wire_flush();
}

/* An OPTIONS that has no response is not sent again, but counted. */
static void command_options(int rounds, int pause)
{
	int64_t started = now();
	int lost = 0;
	for (int i = 0; i < rounds; i++) {
		settle(pause);
		options_round++;
		options_sent = now();
		options_send(options_round);
		for (int64_t end = now() + 5 * SEC; options_sent && now() < end;) pump(5);
		lost += options_sent != 0;
		options_sent = 0;
	}
	report_open(started);
	printf(", \"lost\": %d", lost);
	print_samples("options_ms", &options);
	report_close();
}

static void command_heard(int64_t since)
{
	int64_t started = now(), last = 0;
	while (!(last = watchers_heard(since)) && now() - started < 30 * SEC) pump(5);
	settle(300);
	report_open(started);
	printf(", \"complete\": %s, \"last_ms\": %.1f", last ? "true" : "false", last ? (last - since) / 1e6 : 0.0);
	report_close();
}

static void command(const char *line)
{
	int a, b, c;
	char address[64];
	long long since;
	if (sscanf(line, "register %d", &a) == 1 && a <= PHONES_MAX) command_register(a);
	else if (sscanf(line, "subscribe %d %d %d", &a, &b, &c) == 3 && a <= WATCHERS_MAX) command_subscribe(a, b, c);
	else if (sscanf(line, "fanout %d", &a) == 1) command_fanout(a);
	else if (sscanf(line, "calls %d %d %d", &a, &b, &c) == 3 && c <= PHONES_MAX) command_calls(a, b, c);
	else if (sscanf(line, "trunk %d %d %d %63s", &a, &b, &c, address) == 4 && c <= PHONES_MAX) command_trunk(a, b, c, address);
	else if (sscanf(line, "publish %d %d %d", &a, &b, &c) == 3 && c <= PHONES_MAX) command_publish(a, b, c);
	else if (sscanf(line, "ring %d", &a) == 1 && a < PHONES_MAX) command_ring(a);
	else if (sscanf(line, "pickup %d %d", &a, &b) == 2 && b <= PICKERS_MAX) command_pickup(a, b);
	else if (sscanf(line, "options %d %d", &a, &b) == 2) command_options(a, b);
	else if (sscanf(line, "heard %lld", &since) == 1) command_heard(since);
	else errx(2, "not a command: %s", line);
}

int main(int argc, char **argv)
{
	char line[128];
	if (argc < 3) errx(2, "usage: load SERVER:PORT LOCAL-IP [--digest]");
	digest = argc > 3 && !strcmp(argv[3], "--digest");
	run_id = getpid();
	watchers_open();
	phones_open();
	wire_open(argv[1], argv[2], 8);
	for (struct pollfd ready[2] = {{0, POLLIN, 0}, {wire_epoll(), POLLIN, 0}};;) {
		poll(ready, 2, 50);
		pump(0);
		if (!ready[0].revents) continue;
		int n = read(0, line, sizeof line - 1);
		if (n <= 0) return 0;
		line[n] = 0;
		command(line);
	}
}
