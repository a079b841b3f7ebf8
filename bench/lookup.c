/* SPDX-License-Identifier: MIT */
/* Validated look-ups beside bare libunbound: the same questions, as many at the same time, in turns.
 *
 *	lookup SERVER@PORT ANCHOR-FILE ZONE DOMAINS ROUNDS
 *
 * ZONE has names d0, d1, ...: an MX record to mx.dN, with A, AAAA, and TLSA at _25._tcp.mx.dN. Each
 * round is made in fresh contexts: every domain once (cold), then ten times again (cached). Printed
 * are answers a second and CPU time for an answer, libunbound's thread included, medians of the rounds;
 * and the median of the rounds' ratios to bare libunbound. "look-ups" are ours, "routes" the same
 * questions as a route asks them, decisions included; "ub_resolve" is libunbound's blocking call, one
 * question after the other, for information, and has fewer to answer. */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unbound.h>

#include "base/clock.h"
#include "base/mem.h"
#include "route/lookup.h"
#include "route/route.h"

#define UNDER_WAY 128   /* questions at the same time */
#define ROUNDS    64
#define KINDS     4

static const char *server, *anchor, *zone;
static unsigned domains;
static unsigned sent, done, secure;

static double
seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Of all threads. */
static double
cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

/* The i-th question. */
static enum ph__dns_type
question(unsigned i, char name[128])
{
	static const struct { enum ph__dns_type type; const char *prefix; } asked[] = {
		{ PH__DNS_MX, "" }, { PH__DNS_A, "mx." }, { PH__DNS_AAAA, "mx." },
		{ PH__DNS_TLSA, "_25._tcp.mx." },
	};

	snprintf(name, 128, "%sd%u.%s", asked[i % 4].prefix, i / 4 % domains, zone);
	return asked[i % 4].type;
}

static void
die(const char *what)
{
	fprintf(stderr, "lookup: %s\n", what);
	exit(1);
}

/* ---- bare libunbound ---- */

/* With the settings that we give it, so that only what is ours makes the difference. */
static struct ub_ctx *
bare_open(void)
{
	static const char *const set[][2] = {
		{ "do-not-query-localhost:", "no" }, { "msg-cache-size:", "8m" },
		{ "rrset-cache-size:", "16m" }, { "outgoing-range:", "64" },
		{ "num-queries-per-thread:", "1024" },
	};
	struct ub_ctx *ub = ub_ctx_create();

	for (size_t i = 0; ub != NULL && i < sizeof set / sizeof *set; i++)
		ub_ctx_set_option(ub, set[i][0], set[i][1]);
	if (ub == NULL || ub_ctx_set_fwd(ub, server) != 0 || ub_ctx_add_ta_file(ub, anchor) != 0 ||
	    ub_ctx_async(ub, 1) != 0)
		die("libunbound cannot be set up");
	return ub;
}

static void
on_bare(void *arg, int failed, struct ub_result *r)
{
	(void)arg;
	done++;
	if (!failed && r->secure && r->havedata)
		secure++;
	ub_resolve_free(r);
}

static void
bare(struct ub_ctx *ub, unsigned total)
{
	char name[128];

	while (done < total) {
		struct pollfd p = { .fd = ub_fd(ub), .events = POLLIN };

		while (sent < total && sent - done < UNDER_WAY) {
			enum ph__dns_type type = question(sent++, name);

			if (ub_resolve_async(ub, name, (int)type, 1, NULL, on_bare, NULL) != 0)
				die("ub_resolve_async() failed");
		}
		poll(&p, 1, -1);
		ub_process(ub);
	}
}

static void
one_by_one(struct ub_ctx *ub, unsigned total)
{
	while (done < total) {
		char name[128];
		struct ub_result *r = NULL;
		enum ph__dns_type type = question(sent++, name);
		int failed = ub_resolve(ub, name, (int)type, 1, &r);

		on_bare(NULL, failed, r);
	}
}

/* ---- ours ---- */

static const struct ph__lookup_module *module;

static void
wait_and_process(struct ph__lookup *l)
{
	struct pollfd p[PH__LOOKUP_FDS] = { { .events = POLLIN }, { .events = POLLIN } };
	int fds[PH__LOOKUP_FDS];
	size_t n = module->fds(l, fds);
	uint64_t due = module->deadline(l), now = ph__now_ms();

	for (size_t i = 0; i < n; i++)
		p[i].fd = fds[i];
	poll(p, n, due == UINT64_MAX ? -1 : due <= now ? 0 : (int)(due - now));
	module->process(l);
}

static void
count(const struct ph__answer *a)
{
	done++;
	if (a->dns.trust == PH__DNS_SECURE && a->dns.status == PH__DNS_FOUND)
		secure++;
}

static void
on_answer(struct ph__asker *asker, unsigned id, const struct ph__answer *a)
{
	(void)asker;
	(void)id;
	count(a);
}

static void
ours(struct ph__lookup *l, unsigned total)
{
	struct ph__asker asker = { on_answer };
	struct ph__question q = { .kind = PH__ASK_DNS };
	char name[128];

	q.name = name;
	while (done < total) {
		while (sent < total && sent - done < UNDER_WAY) {
			q.id = sent;
			q.type = question(sent++, name);
			module->ask(l, &q, &asker);
		}
		wait_and_process(l);
	}
}

/* ---- whole routes ---- */

/* A domain's: MX, then A and AAAA, then TLSA. */
struct one {
	struct ph__asker asker;
	struct ph__route *route;
	struct one *next;
};

static struct one routes[UNDER_WAY]; /* each under way has a question open, or two */
static struct one *answered, *idle;

static void
ask_for(struct one *o, struct ph__lookup *l)
{
	struct ph__question q;

	while (ph__route_question(o->route, &q)) {
		sent++;
		module->ask(l, &q, &o->asker);
	}
}

static void
on_route_answer(struct ph__asker *asker, unsigned id, const struct ph__answer *a)
{
	struct one *o = (struct one *)asker;

	count(a);
	ph__route_answer(o->route, id, a);
	if (o->next != NULL)
		return;
	o->next = answered != NULL ? answered : o; /* the last one's is itself */
	answered = o;
}

/* All who have answers are asked what they want to know next. */
static void
go_on(struct ph__lookup *l)
{
	while (answered != NULL) {
		struct one *o = answered;
		const struct ph__route_host *host;

		answered = o->next != o ? o->next : NULL;
		o->next = NULL;
		ask_for(o, l);
		if (!ph__route_is_settled(o->route))
			continue;
		host = ph__route_host(o->route, 0);
		if (host == NULL || host->tls != PH__HOST_MUST_DANE)
			die("a route is not what the zone says");
		ph__route_free(&o->route);
		o->next = idle;
		idle = o;
	}
}

static void
begin_route(struct ph__lookup *l, unsigned first)
{
	struct ph__route_opts opts = { .port = 25, .no_mta_sts = true };
	struct ph_error err = PH_ERROR_INIT;
	struct one *o = idle;
	char name[128];

	idle = o->next;
	o->next = NULL;
	question(first, name);
	opts.domain = name;
	o->asker.answered = on_route_answer;
	if (ph__route_new(&o->route, &opts, &ph__libc_memory, &err) != PH_OK)
		die(err.text);
	ask_for(o, l);
}

static void
by_routes(struct ph__lookup *l, unsigned total)
{
	unsigned begun = 0;

	idle = NULL;
	for (size_t i = 0; i < UNDER_WAY; i++) {
		routes[i].next = idle;
		idle = &routes[i];
	}
	while (done < total) {
		for (; begun < total && sent - done < UNDER_WAY; begun += 4)
			begin_route(l, begun);
		wait_and_process(l);
		go_on(l);
	}
}

/* ---- measuring ---- */

struct figures {
	double rate[ROUNDS], cpu[ROUNDS]; /* answers a second; seconds for one */
};

static void
time_it(void (*work)(void *context, unsigned total), void *context, unsigned total,
        struct figures *to, unsigned round)
{
	double began = seconds(), cpu = cpu_seconds();

	sent = done = secure = 0;
	work(context, total);
	if (secure != total) {
		fprintf(stderr, "lookup: %u of %u answers are secure\n", secure, total);
		exit(1);
	}
	to->rate[round] = total / (seconds() - began);
	to->cpu[round] = (cpu_seconds() - cpu) / total;
}

static void
work_bare(void *ub, unsigned total)
{
	bare(ub, total);
}

static void
work_ours(void *l, unsigned total)
{
	ours(l, total);
}

static void
work_routes(void *l, unsigned total)
{
	by_routes(l, total);
}

static void
work_one_by_one(void *ub, unsigned total)
{
	one_by_one(ub, total);
}

static int
compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double
median(const double *of, unsigned n)
{
	double copy[ROUNDS];

	memcpy(copy, of, n * sizeof *of);
	qsort(copy, n, sizeof *copy, compare);
	return n % 2 != 0 ? copy[n / 2] : (copy[n / 2 - 1] + copy[n / 2]) / 2;
}

static double
ratio(const double *a, const double *b, unsigned n)
{
	double ratios[ROUNDS];

	for (unsigned i = 0; i < n; i++)
		ratios[i] = a[i] / b[i];
	return median(ratios, n);
}

static void
print(const char *what, const struct figures of[KINDS], unsigned n)
{
	static const char *const names[KINDS] = { "libunbound", "look-ups", "routes", "ub_resolve" };

	for (unsigned i = 0; i < KINDS; i++)
		printf("%-7s %-10s %7.0f/s %6.1f us CPU   rate x %.2f  CPU x %.2f\n", what, names[i],
		       median(of[i].rate, n), median(of[i].cpu, n) * 1e6,
		       ratio(of[i].rate, of[0].rate, n), ratio(of[i].cpu, of[0].cpu, n));
}

/* who: 0 libunbound, 1 our look-ups, 2 routes by them, 3 libunbound's blocking call */
static void
measure(int who, struct figures *cold, struct figures *cached, unsigned round)
{
	static void (*const work[])(void *, unsigned) = { work_bare, work_ours, work_routes,
	                                                      work_one_by_one };
	struct ph__lookup_opts opts = { .dns = server, .trust_anchor = anchor };
	struct ph_error err = PH_ERROR_INIT;
	struct ph__lookup *l = NULL;
	struct ub_ctx *ub = NULL;

	bool by_us = who == 1 || who == 2;

	if (by_us && module->open(&l, &opts, &ph__libc_memory, &err) != PH_OK)
		die(err.text);
	if (!by_us)
		ub = bare_open();
	time_it(work[who], by_us ? (void *)l : ub, who == 3 ? domains : 4 * domains, cold, round);
	time_it(work[who], by_us ? (void *)l : ub, who == 3 ? domains : 40 * domains, cached,
	        round);
	module->close(&l);
	ub_ctx_delete(ub);
}

int
main(int argc, char **argv)
{
	static struct figures cold[KINDS], cached[KINDS];
	struct ph_error err = PH_ERROR_INIT;
	unsigned rounds;

	if (argc != 6)
		die("usage: lookup SERVER@PORT ANCHOR-FILE ZONE DOMAINS ROUNDS");
	server = argv[1];
	anchor = argv[2];
	zone = argv[3];
	domains = (unsigned)strtoul(argv[4], NULL, 10);
	rounds = (unsigned)strtoul(argv[5], NULL, 10);
	if (domains == 0 || rounds == 0 || rounds > ROUNDS)
		die("how many?");
	if ((module = ph__lookup_module(&err)) == NULL)
		die(err.text);
	for (unsigned i = 0; i < rounds; i++)
		for (unsigned turn = 0; turn < KINDS; turn++) {
			unsigned who = turn < KINDS - 1 ? (turn + i) % (KINDS - 1) : turn;

			measure((int)who, &cold[who], &cached[who], i);
		}
	print("cold", cold, rounds);
	print("cached", cached, rounds);
	return 0;
}
