/* load: declarations that the parts of the generator share. */
#ifndef LOAD_H
#define LOAD_H
#include "wire.h"

#define PHONES_MAX 2000
#define WATCHERS_MAX 100000
#define FIRST_PHONE 100000
#define FIRST_CALLER 102000
#define FIRST_WATCHER 104000
#define WATCHER_NAMES 5000 /* past these, a watcher has further keys, and subscriptions of its own for them */

/* The states in their order: a lamp shows the greatest that a dialog in its document has. */
typedef enum { DARK, TERMINATED, TRYING, PROCEEDING, EARLY, CONFIRMED } Lamp;

typedef struct { double *ms; int n, room; } Samples;

/* load.c */
extern int failed, refused[700]; /* requests that failed, in all and by status; 408 if given up */
extern int run_id;               /* keeps our identifiers apart from another run's */
void sample(Samples *s, int64_t ns);
int port_of(int index);
uint64_t identifier(char kind, int index, int generation);  /* scattered as a phone's are, since servers hash Call-IDs */
void transmit(int index, const char *text, int size);
void transmit_by(int socket, const char *text, int size);

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
int64_t watchers_heard(int64_t since);
void watchers_retransmit(int64_t t);
void on_subscribe_response(int i, int cseq, int status, const Packet *p);
void on_notify(int i, const Packet *p);

/* calls.c */
typedef struct { char remote[256], target[256], routes[1024]; } Dialog;  /* To with tag, remote target, route set */
typedef struct { int started, completed, failed, skipped, active; } Calls;
extern Calls calls;
extern Samples ringing, ringing_out, answered;  /* answered: from a pickup's INVITE to the caller's 200 */
extern int registered, by_hand;  /* by_hand: phones ring, accept and hang up only when told to */
extern int carrier;  /* its socket; unless 0, even callers and odd callees are outside */
int content(char *out, int with_session);
void dialog_learn(Dialog *d, const Packet *m);
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

/* publish.c */
extern Samples taken;   /* from a PUBLISH to its 200 */
extern int published;
int publication_is_idle(int i);
int publication_goes_on(int i);  /* whether its call is not over */
void publish_next(int i);
void on_publish_response(int i, int cseq, int status, const Packet *m);
void publications_retransmit(int64_t t);

/* pickup.c */
#define PICKERS_MAX 100
extern Samples picked, late;  /* from a picker's INVITE to its 200, and to its refusal */
extern int picking, won;      /* pickers that have no final response yet, or hang up; those that won since */
extern int64_t asked_at;      /* when the pickers of this round sent INVITE; 0 when none has */
void pickers_ask(int count);
void on_picker_response(char kind, int i, int generation, int status, const Packet *m);
void pickers_retransmit(int64_t t);
#endif
