"""Every declaration of PJSIP 2.15.1 that blfd uses, as cffi reads them (ABI mode).

The layouts are those of the wheel `pjsua2-python==2.15.1.post1` on Linux x86-64 (4000-byte packets, no
IPv6, 32 modules). Nothing checks them at build time, so `selfcheck` reads every field that is declared here
back from known messages before the server starts.
"""

from __future__ import annotations

STRUCTS = """
typedef int pj_status_t;
typedef int pj_bool_t;
typedef struct { char *ptr; ssize_t slen; } pj_str_t;
typedef struct { long sec, msec; } pj_time_val;
typedef struct pj_pool_t pj_pool_t;
typedef struct pj_timer_heap_t pj_timer_heap_t;
typedef struct { uint16_t family, port; uint32_t addr; char zero[8]; char pad[12]; } pj_sockaddr;

typedef struct pjsip_endpoint pjsip_endpoint;
typedef struct pjsip_tpmgr pjsip_tpmgr;
typedef struct pjsip_user_agent pjsip_user_agent;
typedef struct pjmedia_sdp_session pjmedia_sdp_session;
typedef struct pjmedia_sdp_neg pjmedia_sdp_neg;

typedef struct { pj_str_t host; int port; } pjsip_host_port;
typedef struct pjsip_param { void *prev, *next; pj_str_t name, value; } pjsip_param_node;
typedef struct { void *prev, *next; pj_str_t name, value; } pjsip_param;

typedef struct pjsip_uri pjsip_uri;
typedef struct {
    const pj_str_t *(*p_get_scheme)(const void *);
    pjsip_uri *(*p_get_uri)(void *);
    ssize_t (*p_print)(int context, const void *, char *, size_t);
} pjsip_uri_vptr;
struct pjsip_uri { const pjsip_uri_vptr *vptr; };
typedef struct { const pjsip_uri_vptr *vptr; pj_str_t display; pjsip_uri *uri; } pjsip_name_addr;
typedef struct {
    const pjsip_uri_vptr *vptr;
    pj_str_t user, passwd, host;
    int port;
    pj_str_t user_param, method_param, transport_param;
    int ttl_param, lr_param;
    pj_str_t maddr_param;
    pjsip_param other_param, header_param;
} pjsip_sip_uri;

typedef struct { int id; pj_str_t name; } pjsip_method;
typedef struct pjsip_hdr {
    struct pjsip_hdr *prev, *next; int type; pj_str_t name, sname; void *vptr;
} pjsip_hdr;
typedef struct { pjsip_hdr base; pj_str_t hvalue; } pjsip_generic_string_hdr;
typedef struct { pjsip_hdr base; unsigned ivalue; } pjsip_generic_int_hdr;
typedef struct { pjsip_hdr base; unsigned count; pj_str_t values[32]; } pjsip_generic_array_hdr;
typedef struct { pjsip_hdr base; pj_str_t id; } pjsip_cid_hdr;
typedef struct { pjsip_hdr base; int cseq; pjsip_method method; } pjsip_cseq_hdr;
typedef struct {
    pjsip_hdr base; pjsip_name_addr *uri; pj_str_t tag; pjsip_param other_param;
} pjsip_fromto_hdr;
typedef struct {
    pjsip_hdr base; int star; pjsip_name_addr *uri; int q1000; uint32_t expires; pjsip_param other_param;
} pjsip_contact_hdr;
typedef struct { pjsip_hdr base; pjsip_name_addr name_addr; pjsip_param other_param; } pjsip_routing_hdr;
typedef struct {
    pjsip_hdr base; pj_str_t transport; pjsip_host_port sent_by; int ttl_param, rport_param;
    pj_str_t maddr_param, recvd_param, branch_param; pjsip_param other_param; pj_str_t comment;
} pjsip_via_hdr;
typedef struct { pj_str_t type, subtype; pjsip_param param; } pjsip_media_type;
typedef struct { pjsip_hdr base; pjsip_media_type media; } pjsip_ctype_hdr;
typedef struct {
    pjsip_media_type content_type; void *data; unsigned len; void *print_body, *clone_data;
} pjsip_msg_body;
typedef struct {
    int type;
    union {
        struct { pjsip_method method; pjsip_uri *uri; } req;
        struct { int code; pj_str_t reason; } status;
    } line;
    pjsip_hdr hdr;
    pjsip_msg_body *body;
} pjsip_msg;

typedef struct pjsip_parser_err_report {
    struct pjsip_parser_err_report *prev, *next; int except_code, line, col; pj_str_t hname;
} pjsip_parser_err_report;

typedef struct pjsip_transport pjsip_transport;
typedef struct {
    struct { pj_pool_t *pool; pjsip_transport *transport; void *tp_data; void *op_key[35]; } tp_info;
    struct {
        pj_time_val timestamp; char packet[4000]; uint32_t zero; ssize_t len;
        pj_sockaddr src_addr; int src_addr_len; char src_name[46]; int src_port;
    } pkt_info;
    struct {
        char *msg_buf; int len; pjsip_msg *msg; char *info;
        pjsip_cid_hdr *cid; pjsip_fromto_hdr *from_, *to; pjsip_via_hdr *via; pjsip_cseq_hdr *cseq;
        pjsip_generic_int_hdr *max_fwd; pjsip_routing_hdr *route, *record_route;
        pjsip_ctype_hdr *ctype; pjsip_generic_int_hdr *clen;
        pjsip_generic_array_hdr *require, *supported;
        pjsip_parser_err_report parse_err;
    } msg_info;
    struct { void *mod_data[32]; } endpt_info;
} pjsip_rx_data;
typedef struct pjsip_tx_data {
    void *prev, *next; pj_pool_t *pool; char obj_name[32]; char *info; pj_time_val rx_timestamp;
    pjsip_tpmgr *mgr; void *op_key[37]; void *lock; pjsip_msg *msg; void *saved_strict_route;
    struct { char *start, *cur, *end; } buf;
} pjsip_tx_data;

typedef struct { int type; pj_bool_t disable_connection_reuse; pjsip_transport *transport; } pjsip_tpselector;
struct pjsip_transport {
    char obj_name[32]; pj_pool_t *pool; void *ref_cnt, *lock, *grp_lock;
    pj_bool_t tracing, is_shutdown, is_destroying;
    struct { long type; pj_sockaddr rem_addr; } key;
    char *type_name; unsigned flag; char *info; int addr_len; pj_sockaddr local_addr;
    pjsip_host_port local_name, remote_name; int dir;
    pjsip_endpoint *endpt; pjsip_tpmgr *tpmgr; void *factory;
    struct { void *user_data; int id; void *cb; int timer_id; } idle_timer;
    uint64_t last_recv_ts; size_t last_recv_len; void *data; unsigned initial_timeout;
    pj_status_t (*send_msg)(pjsip_transport *, pjsip_tx_data *, const void *, int, void *, void *);
    pj_status_t (*do_shutdown)(pjsip_transport *);
    pj_status_t (*destroy)(pjsip_transport *);
};

typedef struct {
    void *prev, *next; pj_str_t name; int id, priority; void *load, *start, *stop, *unload;
    pj_bool_t (*on_rx_request)(pjsip_rx_data *), (*on_rx_response)(pjsip_rx_data *);
    pj_status_t (*on_tx_request)(pjsip_tx_data *), (*on_tx_response)(pjsip_tx_data *);
    void *on_tsx_state;
} pjsip_module;

typedef struct {
    pj_pool_t *pool; void *tsx_user, *endpt; pj_bool_t terminating; void *grp_lock, *mutex_b;
    char obj_name[32]; int role; pjsip_method method; int cseq; pj_str_t key, key2;
    uint32_t hashed_key, hashed_key2; pj_str_t branch; int status_code; pj_str_t status_text; int state;
} pjsip_transaction;
typedef struct {
    void *prev, *next; int type;
    struct {
        union { pjsip_rx_data *rdata; void *data; } src;
        pjsip_transaction *tsx; int prev_state; int type;
    } tsx_state;
} pjsip_event;

typedef struct { pj_pool_t *pool; pjsip_endpoint *endpt; } pjsip_auth_clt_sess;  // its beginning
typedef struct {
    pj_str_t realm, scheme, username; int data_type; pj_str_t data; char more[128];  // more than there is
} pjsip_cred_info;
typedef struct {
    pjsip_fromto_hdr *info; pj_str_t info_str; uint32_t tag_hval; pjsip_contact_hdr *contact;
    int first_cseq, cseq;
} pjsip_dlg_party;
typedef struct {
    void *prev, *next; char obj_name[32]; pj_pool_t *pool; pjsip_user_agent *ua; pjsip_endpoint *endpt;
    void *grp_lock, *dlg_set; int state; pjsip_uri *target;
    struct { void *prev, *next, *uri; int q1000, code; pj_str_t reason; void *current; } target_set;
    pjsip_hdr inv_hdr; pjsip_dlg_party local, remote; pjsip_hdr rem_cap_hdr;
    int role, uac_has_2xx, secure, add_allow, ack_sent; pjsip_cid_hdr *call_id;
    pjsip_routing_hdr route_set; pj_bool_t route_set_frozen; pjsip_auth_clt_sess auth_sess;
} pjsip_dialog;

typedef struct { unsigned min_se, sess_expires; } pjsip_timer_setting;
typedef struct {
    pj_bool_t active; pjsip_timer_setting setting; int refresher; pj_time_val last_refresh;
    void *entry[4]; pj_bool_t use_update, with_sdp; int role;
} pjsip_timer;
typedef struct {
    char obj_name[32]; pj_pool_t *pool, *pool_prov, *pool_active; int state;
    pj_bool_t cancelling, pending_cancel; void *pending_bye; int cause; pj_str_t cause_text;
    pj_bool_t notify, sdp_done_early_rel; unsigned cb_called; pjsip_dialog *dlg; int role;
    unsigned options; pjmedia_sdp_neg *neg; unsigned sdp_neg_flags; pjsip_transaction *invite_tsx;
    pjsip_tx_data *invite_req, *last_answer, *last_ack; int last_ack_cseq;
    void *mod_data[32]; pjsip_timer *timer;
} pjsip_inv_session;
typedef struct {
    const pjmedia_sdp_session *offer; const pjsip_rx_data *rdata;
} pjsip_inv_on_rx_offer_cb_param;
typedef struct {
    void (*on_state_changed)(pjsip_inv_session *, pjsip_event *);
    void (*on_new_session)(pjsip_inv_session *, pjsip_event *);
    void (*on_tsx_state_changed)(pjsip_inv_session *, pjsip_transaction *, pjsip_event *);
    void *on_rx_offer;
    void (*on_rx_offer2)(pjsip_inv_session *, pjsip_inv_on_rx_offer_cb_param *);
    pj_status_t (*on_rx_reinvite)(pjsip_inv_session *, const pjmedia_sdp_session *, pjsip_rx_data *);
    void *on_create_offer;
    void (*on_media_update)(pjsip_inv_session *, pj_status_t);
    void (*on_send_ack)(pjsip_inv_session *, pjsip_rx_data *);
    void *on_redirected;
} pjsip_inv_callback;
typedef struct { pj_str_t body; int sdp_err; const pjmedia_sdp_session *sdp; } pjsip_rdata_sdp_info;

typedef struct {
    int allow_port_in_fromto_hdr, accept_replace_in_early_state, allow_tx_hash_in_uri, disable_rport;
    int disable_tcp_switch, disable_tls_switch, follow_early_media_fork, req_has_via_alias;
    int resolve_hostname_to_get_interface, disable_secure_dlg_check, use_compact_form;
    int accept_multiple_sdp_answers, keep_inv_after_tsx_timeout;
    unsigned tsx_max_count, t1, t2, t4, td;
} pjsip_cfg_t;
"""

FUNCTIONS = """
extern int pj_pool_factory_default_policy;
extern pjsip_cfg_t pjsip_sip_cfg_var;

const char *pj_get_version(void);
pj_status_t pj_init(void);
void pj_srand(unsigned);
pj_status_t pjlib_util_init(void);
void pj_log_set_level(int);
void pj_log_set_log_func(void (*)(int, const char *, int));
pj_str_t pj_strerror(pj_status_t, char *, size_t);
void pj_caching_pool_init(void *, const void *, size_t);
pj_pool_t *pj_pool_create(void *, const char *, size_t, size_t, void *);
void pj_pool_release(pj_pool_t *);
void pj_pool_reset(pj_pool_t *);
void *pj_pool_alloc(pj_pool_t *, size_t);
pj_status_t pj_atomic_create(pj_pool_t *, long, void **);
pj_status_t pj_lock_create_recursive_mutex(pj_pool_t *, const char *, void **);
void pj_list_insert_before(void *, void *);
uint32_t pj_hash_calc_tolower(uint32_t, char *, const pj_str_t *);
unsigned pj_timer_heap_poll(pj_timer_heap_t *, pj_time_val *);

pj_status_t pjsip_endpt_create(void *, const char *, pjsip_endpoint **);
void pjsip_endpt_destroy(pjsip_endpoint *);
pjsip_tpmgr *pjsip_endpt_get_tpmgr(pjsip_endpoint *);
pj_timer_heap_t *pjsip_endpt_get_timer_heap(pjsip_endpoint *);
pj_status_t pjsip_tsx_layer_init_module(pjsip_endpoint *);
pjsip_transaction *pjsip_tsx_detect_merged_requests(pjsip_rx_data *);
pj_status_t pjsip_ua_init_module(pjsip_endpoint *, void *);
pjsip_user_agent *pjsip_ua_instance(void);
pj_status_t pjsip_ua_register_dlg(pjsip_user_agent *, pjsip_dialog *);
pj_status_t pjsip_ua_unregister_dlg(pjsip_user_agent *, pjsip_dialog *);
pj_status_t pjsip_inv_usage_init(pjsip_endpoint *, const pjsip_inv_callback *);
pj_status_t pjsip_100rel_init_module(pjsip_endpoint *);
pj_status_t pjsip_timer_init_module(pjsip_endpoint *);
pj_status_t pjsip_endpt_register_module(pjsip_endpoint *, pjsip_module *);
pj_status_t pjsip_endpt_add_capability(pjsip_endpoint *, pjsip_module *, int, const pj_str_t *, unsigned,
                                       const pj_str_t *);
pj_status_t pjsip_endpt_process_rx_data(pjsip_endpoint *, pjsip_rx_data *, void *, pj_bool_t *);
pj_status_t pjsip_endpt_respond_stateless(pjsip_endpoint *, pjsip_rx_data *, int, const pj_str_t *,
                                          const pjsip_hdr *, const pjsip_msg_body *);
pj_status_t pjsip_endpt_respond(pjsip_endpoint *, pjsip_module *, pjsip_rx_data *, int, const pj_str_t *,
                                const pjsip_hdr *, const pjsip_msg_body *, pjsip_transaction **);

pj_status_t pjsip_transport_register(pjsip_tpmgr *, pjsip_transport *);
pj_status_t pjsip_transport_shutdown(pjsip_transport *);
pj_status_t pjsip_transport_add_ref(pjsip_transport *);
pj_status_t pjsip_transport_dec_ref(pjsip_transport *);

pjsip_msg *pjsip_parse_rdata(char *, size_t, pjsip_rx_data *);
pj_status_t pjsip_find_msg(const char *, size_t, pj_bool_t, size_t *);
pjsip_msg *pjsip_parse_msg(pj_pool_t *, char *, size_t, pjsip_parser_err_report *);
pjsip_uri *pjsip_parse_uri(pj_pool_t *, char *, size_t, unsigned);
void *pjsip_parse_hdr(pj_pool_t *, const pj_str_t *, char *, size_t, int *);
int pjsip_hdr_print_on(void *, char *, size_t);
void *pjsip_msg_find_hdr(const pjsip_msg *, int, const void *);
void *pjsip_msg_find_hdr_by_name(const pjsip_msg *, const pj_str_t *, const void *);
pjsip_generic_string_hdr *pjsip_generic_string_hdr_create(pj_pool_t *, const pj_str_t *, const pj_str_t *);
pjsip_msg_body *pjsip_msg_body_create(pj_pool_t *, const pj_str_t *, const pj_str_t *, const pj_str_t *);
pj_status_t pjsip_endpt_create_response(pjsip_endpoint *, const pjsip_rx_data *, int, const pj_str_t *,
                                        pjsip_tx_data **);
ssize_t pjsip_msg_print(const pjsip_msg *, char *, size_t);
int pjsip_tx_data_dec_ref(pjsip_tx_data *);

pj_status_t pjsip_dlg_create_uas_and_inc_lock(pjsip_user_agent *, pjsip_rx_data *, const pj_str_t *,
                                              pjsip_dialog **);
pj_status_t pjsip_dlg_create_uac(pjsip_user_agent *, const pj_str_t *, const pj_str_t *, const pj_str_t *,
                                 const pj_str_t *, pjsip_dialog **);
pj_status_t pjsip_dlg_terminate(pjsip_dialog *);
void pjsip_dlg_inc_lock(pjsip_dialog *);
void pjsip_dlg_dec_lock(pjsip_dialog *);
pj_status_t pjsip_dlg_add_usage(pjsip_dialog *, pjsip_module *, void *);
pj_status_t pjsip_dlg_set_transport(pjsip_dialog *, const pjsip_tpselector *);
pj_status_t pjsip_dlg_set_route_set(pjsip_dialog *, const pjsip_routing_hdr *);
int pjsip_dlg_remote_has_cap(pjsip_dialog *, int, const pj_str_t *, const pj_str_t *);
pj_status_t pjsip_dlg_update_remote_cap(pjsip_dialog *, const pjsip_msg *, pj_bool_t);
pj_status_t pjsip_dlg_create_request(pjsip_dialog *, const pjsip_method *, int, pjsip_tx_data **);
pj_status_t pjsip_dlg_send_request(pjsip_dialog *, pjsip_tx_data *, int, void *);
pj_status_t pjsip_dlg_create_response(pjsip_dialog *, pjsip_rx_data *, int, const pj_str_t *,
                                      pjsip_tx_data **);
pj_status_t pjsip_dlg_send_response(pjsip_dialog *, pjsip_transaction *, pjsip_tx_data *);
pj_status_t pjsip_dlg_respond(pjsip_dialog *, pjsip_rx_data *, int, const pj_str_t *, const pjsip_hdr *,
                              const pjsip_msg_body *);

pj_status_t pj_ssl_cipher_get_availables(int *, unsigned *);
pj_status_t pjsip_auth_clt_init(pjsip_auth_clt_sess *, pjsip_endpoint *, pj_pool_t *, unsigned);
pj_status_t pjsip_auth_clt_deinit(pjsip_auth_clt_sess *);
pj_status_t pjsip_auth_clt_set_credentials(pjsip_auth_clt_sess *, int, const pjsip_cred_info *);

pj_status_t pjsip_inv_verify_request(pjsip_rx_data *, unsigned *, const pjmedia_sdp_session *, pjsip_dialog *,
                                     pjsip_endpoint *, pjsip_tx_data **);
pj_status_t pjsip_inv_create_uas(pjsip_dialog *, pjsip_rx_data *, const pjmedia_sdp_session *, unsigned,
                                 pjsip_inv_session **);
pj_status_t pjsip_inv_create_uac(pjsip_dialog *, const pjmedia_sdp_session *, unsigned, pjsip_inv_session **);
pj_status_t pjsip_inv_invite(pjsip_inv_session *, pjsip_tx_data **);
pj_status_t pjsip_inv_initial_answer(pjsip_inv_session *, pjsip_rx_data *, int, const pj_str_t *,
                                     const pjmedia_sdp_session *, pjsip_tx_data **);
pj_status_t pjsip_inv_answer(pjsip_inv_session *, int, const pj_str_t *, const pjmedia_sdp_session *,
                             pjsip_tx_data **);
pj_status_t pjsip_inv_set_sdp_answer(pjsip_inv_session *, const pjmedia_sdp_session *);
pj_status_t pjsip_inv_reinvite(pjsip_inv_session *, const pj_str_t *, const pjmedia_sdp_session *,
                               pjsip_tx_data **);
pj_status_t pjsip_inv_update(pjsip_inv_session *, const pj_str_t *, const pjmedia_sdp_session *,
                             pjsip_tx_data **);
pj_status_t pjsip_inv_end_session(pjsip_inv_session *, int, const pj_str_t *, pjsip_tx_data **);
pj_status_t pjsip_inv_create_ack(pjsip_inv_session *, int, pjsip_tx_data **);
pj_status_t pjsip_inv_send_msg(pjsip_inv_session *, pjsip_tx_data *);
pj_status_t pjsip_inv_terminate(pjsip_inv_session *, int, pj_bool_t);
pj_status_t pjsip_timer_init_session(pjsip_inv_session *, const pjsip_timer_setting *);
pj_status_t pjsip_timer_process_resp(pjsip_inv_session *, const pjsip_rx_data *, int *);
pj_status_t pjsip_timer_process_req(pjsip_inv_session *, const pjsip_rx_data *, int *);
pjsip_rdata_sdp_info *pjsip_rdata_get_sdp_info(pjsip_rx_data *);

pj_status_t pjmedia_sdp_parse(pj_pool_t *, char *, size_t, pjmedia_sdp_session **);
int pjmedia_sdp_print(const pjmedia_sdp_session *, char *, size_t);
pj_status_t pjmedia_sdp_validate(const pjmedia_sdp_session *);
pj_status_t pjmedia_sdp_neg_create_w_remote_offer(pj_pool_t *, const pjmedia_sdp_session *,
                                                  const pjmedia_sdp_session *, pjmedia_sdp_neg **);
pj_status_t pjmedia_sdp_neg_set_prefer_remote_codec_order(pjmedia_sdp_neg *, pj_bool_t);
pj_status_t pjmedia_sdp_neg_negotiate(pj_pool_t *, pjmedia_sdp_neg *, pj_bool_t);
pj_status_t pjmedia_sdp_neg_get_active_local(pjmedia_sdp_neg *, const pjmedia_sdp_session **);
int pjmedia_sdp_neg_get_state(pjmedia_sdp_neg *);
pj_status_t pjmedia_sdp_neg_get_neg_remote(pjmedia_sdp_neg *, const pjmedia_sdp_session **);
pj_status_t pjmedia_sdp_neg_get_active_remote(pjmedia_sdp_neg *, const pjmedia_sdp_session **);
"""

# What the demo's phones use, and the tests' parser.
BESIDE = """
typedef struct {
    pj_str_t realm; pjsip_param other_param;
    pj_str_t username, nonce, uri, response, algorithm, cnonce, opaque, qop, nc;
} pjsip_digest_credential;
typedef struct {
    pjsip_hdr base; pj_str_t scheme; pjsip_digest_credential digest;
} pjsip_authorization_hdr;
pjsip_endpoint *pjsua_get_pjsip_endpt(void);
pj_status_t pjsua_buddy_subscribe_dlg_event(int, pj_bool_t);
"""
