/* wire: datagrams in batches, the few things the generator reads in a SIP message, and digest. */
#ifndef WIRE_H
#define WIRE_H
#include <stdint.h>

#define MS 1000000LL  /* all times are nanoseconds of the wall clock, which the kernel stamps packets with */
#define SEC 1000000000LL
#define MESSAGE_MAX 4096

typedef struct {
	char *text;      /* one datagram, NUL-terminated */
	int size, port;  /* port: the index of the socket that it came to */
	int64_t arrived; /* the kernel's stamp, so a generator that reads late does not count as server latency */
} Packet;

typedef struct { const char *at; int len; } Text;


extern char server_name[64], local_ip[64];
extern int64_t wire_repeated;  /* for the report: requests that we sent again */

void wire_open(const char *server, const char *local, int ports);
int wire_add(const char *address);  /* opens another socket, outside `wire_ports`, and returns its index */
int wire_epoll(void);
int wire_port(int index);   /* the UDP port number of socket `index` */
const char *wire_ip(int index);
int wire_ports(void);
int64_t now(void);
void wire_send(int port, const char *text, int size);  /* queued until the batch is full or flushed */
void wire_flush(void);
void wire_poll(int ms, void (*take)(const Packet *));
long wire_drops(void);      /* datagrams that our own sockets lost for lack of room */

Text header(const char *text, const char *name, char compact);
const char *body(const Packet *p);
int echo(const Packet *p, const char *status, const char *tag, char *out, int cap);

/* The Authorization line for the first challenge in `text` that we can answer, NULL if there is none. */
char *digest_answer(const char *text, const char *method, const char *uri, const char *user, const char *password);

/* Client transactions over UDP: T1 doubling up to T2, given up after 64*T1 (RFC 3261, 17.1). */
typedef struct { int64_t since, due, wait; } Retry;
enum { RETRY_NO, RETRY_SEND, RETRY_GIVE_UP };
void retry_start(Retry *r);
int retry_check(Retry *r, int64_t t);
#endif
