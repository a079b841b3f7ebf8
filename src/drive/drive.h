/* SPDX-License-Identifier: MIT */
#ifndef PH_DRIVE_DRIVE_H
#define PH_DRIVE_DRIVE_H
/* One session over one transport: moves octets both ways, gives bodies from their sources, does the
 * handshake, tells the time. Never blocks but in ph__drive_wait(); an event loop waits by itself. */
#include <posthaste/smtp.h>
#include <posthaste/source.h>

/* A message on its way: what the transaction's user pointer points at while a drive has it. */
struct ph__job {
	struct ph_source *source;
	uint64_t at;              /* memory: octets given; so one source may serve several jobs */
};

struct ph__drive {
	const struct ph_allocator *mem;
	struct ph_smtp *smtp;
	const struct ph_transport *io; /* borrowed */
	const struct ph_transport *tls_io; /* takes its place at a 220 to STARTTLS; NULL: it stays */
	void  (*trace)(void *user, const struct ph_smtp_trace *t); /* NULL: none */
	void   *trace_user;
	char   *in;               /* what is read goes through here */
	char   *chunk;            /* of a body that is not in memory; made when first needed */
	bool    handshaking;
	bool    tls_up;
	bool    tls_told;
	bool    tls_lent;         /* it was up before the session began; `facts` are given */
	bool    blocked;          /* the transport took less than was offered */
	bool  (*cancelled)(void *user, bool waiting); /* NULL: cannot be. `waiting`: in a wait that has
	                             brought nothing so far, twice a second and behind a signal */
	void   *cancelled_user;
	bool    source_waits;     /* a source said "again" */
	bool    deaf;             /* the peer has closed, or reading failed */
	bool    write_failed;     /* what is still readable is read before the end is told */
	struct ph_error write_error;
	struct ph_tls_facts facts;
	uint64_t tls_us;          /* how long the handshake took */
	uint64_t tls_began_us;
};

enum ph__drive_state {
	PH__DRIVE_EVENT, /* *ev is for the caller */
	PH__DRIVE_WAIT   /* nothing more can be done before the peer, the socket or the clock moves */
};

enum ph_code ph__drive_new(struct ph__drive **ret, const struct ph_smtp_opts *opts,
                           const struct ph_transport *io, const struct ph_allocator *mem);
void ph__drive_free(struct ph__drive **d);

/* Does all that can be done now. WANT_BODY is dealt with here; WANT_TLS too, and is passed on when
 * the handshake has succeeded and `facts` are there. */
enum ph__drive_state ph__drive_step(struct ph__drive *d, struct ph_smtp_event *ev);
/* Writes all that is queued, without asking for events. True: the transport took only a part; wait. */
bool ph__drive_flush(struct ph__drive *d);
/* Blocks until something moves, at most limit_ms (UINT64_MAX: until the session's deadline), and
 * reads. False: limit_ms went by. */
bool ph__drive_wait(struct ph__drive *d, uint64_t limit_ms);
/* Looks, without waiting, whether the peer has something to say; false: nothing. */
bool ph__drive_look(struct ph__drive *d);
/* Whether a 220 to STARTTLS can be followed. */
bool ph__drive_can_tls(const struct ph__drive *d);

#endif
