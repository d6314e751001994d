#define _GNU_SOURCE
#include "wire.h"
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#ifdef WITH_DIGEST
#include <openssl/evp.h>
#endif

#define BATCH 32
#define PORTS_MAX 32
#define MEMINFO_DROPS 8  /* index in the array that SO_MEMINFO fills */
#define T1 (500 * MS)
#define T2 (4 * SEC)

typedef struct {
	int fd, port, queued;
	char ip[64];
	struct mmsghdr out[BATCH];
	struct iovec part[BATCH];
	char text[BATCH][MESSAGE_MAX];
} Socket;

char server_name[64], local_ip[64];
int64_t wire_repeated;
static Socket *sockets;
static int count, own, epoll;  /* `own`: how many of them wire_open has opened */

int64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * SEC + t.tv_nsec;
}

static struct sockaddr_in address(const char *text)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	char ip[64];
	int port = 0;
	if (sscanf(text, "%63[0-9.]:%d", ip, &port) < 1 || !inet_aton(ip, &a.sin_addr)) errx(2, "not an address: %s", text);
	if (ntohl(a.sin_addr.s_addr) >> 24 != 127) errx(2, "%s is not a loopback address", text);
	a.sin_port = htons(port);
	return a;
}

static void socket_open(Socket *s, struct sockaddr_in to, struct sockaddr_in from)
{
	int room = 64 << 20, yes = 1;
	socklen_t size = sizeof from;
	if ((s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0) err(2, "socket");
	if (setsockopt(s->fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room))
		setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	setsockopt(s->fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
	if (bind(s->fd, (void *)&from, sizeof from) || connect(s->fd, (void *)&to, sizeof to)) err(2, "bind or connect");
	getsockname(s->fd, (void *)&from, &size);
	s->port = ntohs(from.sin_port);
	snprintf(s->ip, sizeof s->ip, "%s", inet_ntoa(from.sin_addr));
	for (int i = 0; i < BATCH; i++) {
		s->part[i].iov_base = s->text[i];
		s->out[i].msg_hdr = (struct msghdr){.msg_iov = &s->part[i], .msg_iovlen = 1};
	}
}

void wire_open(const char *server, const char *local, int ports)
{
	sockets = calloc(PORTS_MAX, sizeof *sockets);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	snprintf(server_name, sizeof server_name, "%s", server);
	snprintf(local_ip, sizeof local_ip, "%s", local);
	for (int i = 0; i < ports; i++) wire_add(local);
	own = count;
}

int wire_add(const char *local)
{
	struct epoll_event readable = {.events = EPOLLIN, .data.u32 = count};
	if (count == PORTS_MAX) errx(2, "more than %d sockets", PORTS_MAX);
	socket_open(&sockets[count], address(server_name), address(local));
	epoll_ctl(epoll, EPOLL_CTL_ADD, sockets[count].fd, &readable);
	return count++;
}

int wire_epoll(void) { return epoll; }
int wire_ports(void) { return own; }
int wire_port(int index) { return sockets[index].port; }
const char *wire_ip(int index) { return sockets[index].ip; }

static void flush(Socket *s)
{
	int sent = 0;
	while (sent < s->queued) {
		int n = sendmmsg(s->fd, s->out + sent, s->queued - sent, 0);
		sent += n > 0 ? n : 1;  /* a datagram that the kernel refuses is a lost one: retransmission covers it */
	}
	s->queued = 0;
}

void wire_flush(void)
{
	for (int i = 0; i < count; i++) flush(&sockets[i]);
}

void wire_send(int port, const char *text, int size)
{
	Socket *s = &sockets[port];
	memcpy(s->text[s->queued], text, size);
	s->part[s->queued].iov_len = size;
	if (++s->queued == BATCH) flush(s);
}

static int64_t stamp(struct msghdr *m)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec t;
			memcpy(&t, CMSG_DATA(c), sizeof t);
			return t.tv_sec * SEC + t.tv_nsec;
		}
	return now();
}

static void receive(int port, void (*take)(const Packet *))
{
	static char text[BATCH][2 * MESSAGE_MAX], control[BATCH][64];
	struct iovec part[BATCH];
	struct mmsghdr in[BATCH];
	for (int i = 0; i < BATCH; i++) {
		part[i] = (struct iovec){text[i], sizeof text[i] - 1};
		in[i].msg_hdr = (struct msghdr){.msg_iov = &part[i], .msg_iovlen = 1,
			.msg_control = control[i], .msg_controllen = sizeof control[i]};
	}
	int n = recvmmsg(sockets[port].fd, in, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++) {
		text[i][in[i].msg_len] = 0;
		take(&(Packet){text[i], in[i].msg_len, port, stamp(&in[i].msg_hdr)});
	}
	flush(&sockets[port]);
}

void wire_poll(int ms, void (*take)(const Packet *))
{
	struct epoll_event ready[PORTS_MAX];
	wire_flush();
	int n = epoll_wait(epoll, ready, PORTS_MAX, ms);
	for (int i = 0; i < n; i++) receive(ready[i].data.u32, take);
	wire_flush();
}

long wire_drops(void)
{
	long drops = 0;
	for (int i = 0; i < count; i++) {
		uint32_t info[16] = {0};
		socklen_t size = sizeof info;
		if (!getsockopt(sockets[i].fd, SOL_SOCKET, SO_MEMINFO, info, &size)) drops += info[MEMINFO_DROPS];
	}
	return drops;
}

/* ------------------------------------------------------------------------------------------- messages */

static const char *next_line(const char *line)
{
	const char *end = strchr(line, '\n');
	return end && end[1] != '\r' && end[1] ? end + 1 : NULL;
}

static int is_named(const char *line, const char *name, char compact)
{
	size_t n = strlen(name);
	if ((line[0] | 0x20) == compact && line[1] == ':') return 1;
	return (line[0] | 0x20) == (name[0] | 0x20) && !strncasecmp(line, name, n) && line[n] == ':';
}

static Text line_value(const char *line)
{
	const char *at = strchr(line, ':') + 1;
	at += strspn(at, " \t");
	return (Text){at, (int)strcspn(at, "\r\n")};
}

/* The first header field of a name in `text`; to find the next one, pass the value's `at`. */
Text header(const char *text, const char *name, char compact)
{
	for (const char *line = next_line(text); line; line = next_line(line))
		if (is_named(line, name, compact)) return line_value(line);
	return (Text){NULL, 0};
}

const char *body(const Packet *p)
{
	const char *at = strstr(p->text, "\r\n\r\n");
	return at ? at + 4 : p->text + p->size;
}

static int is_echoed(const char *line)
{
	switch (line[0] | 0x20) {
	case 'v': return is_named(line, "Via", 'v');
	case 'f': return is_named(line, "From", 'f');
	case 't': return is_named(line, "To", 't');
	case 'i': return line[1] == ':';
	case 'c': return is_named(line, "Call-ID", 0) || is_named(line, "CSeq", 0);
	case 'r': return is_named(line, "Record-Route", 0);
	}
	return 0;
}

/* Writes status line and repeated headers of a response to `p`; `tag` completes To if the request had none. */
int echo(const Packet *p, const char *status, const char *tag, char *out, int cap)
{
	int n = snprintf(out, cap, "SIP/2.0 %s\r\n", status);
	for (const char *line = next_line(p->text); line; line = next_line(line)) {
		int size = strcspn(line, "\r\n");
		if (!is_echoed(line) || n + size + 64 > cap) continue;
		memcpy(out + n, line, size);
		n += size;
		if (is_named(line, "To", 't') && !memmem(line, size, ";tag=", 5)) n += sprintf(out + n, ";tag=%s", tag);
		out[n++] = '\r', out[n++] = '\n';
	}
	out[n] = 0;
	return n;
}

/* ------------------------------------------------------------------------------------------- digest */

#ifdef WITH_DIGEST
static void hash(const EVP_MD *algorithm, const char *text, char *hex)
{
	unsigned char raw[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	EVP_Digest(text, strlen(text), raw, &n, algorithm, NULL);
	for (unsigned i = 0; i < n; i++) sprintf(hex + 2 * i, "%02x", raw[i]);
}

static void parameter(Text challenge, const char *name, char *out, int cap)
{
	char copy[1024], find[32], *at;
	snprintf(copy, sizeof copy, " %.*s", challenge.len, challenge.at);
	snprintf(find, sizeof find, "%s=", name);
	out[0] = 0;
	for (at = strcasestr(copy, find); at && !strchr(" ,\t", at[-1]); at = strcasestr(at + 1, find)) {}
	if (!at) return;
	at += strlen(find);
	at += *at == '"';
	snprintf(out, cap, "%.*s", (int)strcspn(at, "\","), at);
}

static char *answer(Text challenge, const char *method, const char *uri, const char *user, const char *password)
{
	char realm[128], nonce[256], opaque[128], name[32], text[512], ha1[65], ha2[65], response[65], *line = NULL;
	parameter(challenge, "realm", realm, sizeof realm);
	parameter(challenge, "nonce", nonce, sizeof nonce);
	parameter(challenge, "opaque", opaque, sizeof opaque);
	parameter(challenge, "algorithm", name, sizeof name);
	const EVP_MD *algorithm = !strcasecmp(name, "SHA-256") ? EVP_sha256() :
		!*name || !strcasecmp(name, "MD5") ? EVP_md5() : NULL;
	if (!algorithm) return NULL;
	snprintf(text, sizeof text, "%s:%s:%s", user, realm, password), hash(algorithm, text, ha1);
	snprintf(text, sizeof text, "%s:%s", method, uri), hash(algorithm, text, ha2);
	snprintf(text, sizeof text, "%s:%s:00000001:b1f:auth:%s", ha1, nonce, ha2), hash(algorithm, text, response);
	if (asprintf(&line, "Authorization: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", uri=\"%s\", response=\"%s\", "
		"algorithm=%s, qop=auth, nc=00000001, cnonce=\"b1f\"%s%s%s\r\n", user, realm, nonce, uri, response,
		*name ? name : "MD5", *opaque ? ", opaque=\"" : "", opaque, *opaque ? "\"" : "") < 0) return NULL;
	return line;
}

char *digest_answer(const char *text, const char *method, const char *uri, const char *user, const char *password)
{
	for (Text c = header(text, "WWW-Authenticate", 0); c.at; c = header(c.at, "WWW-Authenticate", 0)) {
		char *line = answer(c, method, uri, user, password);
		if (line) return line;
	}
	return NULL;
}
#else
char *digest_answer(const char *text, const char *method, const char *uri, const char *user, const char *password)
{
	(void)text, (void)method, (void)uri, (void)user, (void)password;
	return NULL;
}
#endif

/* ------------------------------------------------------------------------------------------- timers */

void retry_start(Retry *r)
{
	r->since = now();
	r->wait = T1;
	r->due = r->since + T1;
}

int retry_check(Retry *r, int64_t t)
{
	if (!r->due || t < r->due) return RETRY_NO;
	if (t - r->since > 64 * T1) return r->due = 0, RETRY_GIVE_UP;
	r->wait = 2 * r->wait < T2 ? 2 * r->wait : T2;
	r->due = t + r->wait;
	wire_repeated++;
	return RETRY_SEND;
}
