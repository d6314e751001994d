/* load: what the parts of the generator share. */
#ifndef LOAD_H
#define LOAD_H
#include "wire.h"

#define PHONES_MAX 2000
#define WATCHERS_MAX 100000
#define FIRST_PHONE 100000
#define FIRST_CALLER 102000
#define FIRST_WATCHER 104000
#define WATCHER_NAMES 5000 /* past these, a watcher has further keys, and subscriptions of its own for them */

/* Ordered so that of several dialogs in one document the strongest is what a lamp shows. */
typedef enum { DARK, TERMINATED, TRYING, PROCEEDING, EARLY, CONFIRMED } Lamp;

typedef struct { double *ms; int n, room; } Samples;

/* load.c */
extern int failed, refused[700]; /* requests that ended badly, and with which status; 408 when given up */
extern int run_id;               /* keeps our identifiers apart from another run's */
void sample(Samples *s, int64_t ns);
int port_of(int index);
uint64_t identifier(char kind, int index, int generation);  /* as scattered as a phone's: servers hash Call-IDs */
void transmit(int index, const char *text, int size);

/* watchers.c */
typedef struct { long notifies, repeats, jumps, unexpected; int64_t latest; } Seen;
typedef struct { Lamp lamp; int number, left; int64_t started, latest; } Change;
extern Seen seen;
extern Change change;
extern Samples setup;
extern int watcher_count, watched, up, digest;
void watchers_open(void);
void watcher_add(void);
int lamps_left_lit(void);
void watchers_retransmit(int64_t t);
void on_subscribe_response(int i, int cseq, int status, const Packet *p);
void on_notify(int i, const Packet *p);

/* calls.c */
typedef struct { int started, completed, failed, skipped, active; } Calls;
extern Calls calls;
extern Samples ringing;
extern int registered, by_hand;  /* by_hand: phones ring, accept and hang up only when told to */
void phones_open(void);
void phone_register(int i);
int phone_is_free(int i);
int phone_is_invited(int i);
void call_start(int i);
void caller_bye(int i);
void caller_cancel(int i);
void callee_ring(int i);
void callee_accept(int i);
void calls_due(int64_t t);
void phones_retransmit(int64_t t);
void on_phone_response(char kind, int i, int generation, int status, const Packet *m);
void on_phone_request(char owner, int i, const char *method, const Packet *m);
#endif
