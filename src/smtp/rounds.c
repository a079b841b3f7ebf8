/* SPDX-License-Identifier: MIT */
/* How many recipients go into a transaction, and transactions into a session: LIMITS (RFC 9422),
 * and "too many recipients" (RFC 5321 §4.5.3.1.10).
 *
 * A round is the recipients of one submission. It decides at least one of them, so there are never
 * more rounds than recipients; and a server that says "too many" is not asked for more at a time
 * than it took, so that the RCPTs of all rounds do not grow with the square of their number. */
#include "smtp/session.h"

#include "mail/address.h"

static size_t
least_limit(uint64_t a, uint64_t b)
{
	uint64_t n = a == 0 || (b != 0 && b < a) ? b : a;

	return n != 0 && n < SIZE_MAX ? (size_t)n : SIZE_MAX;
}

static bool
keep_domain(struct ph_smtp *s, struct ph_str domain)
{
	if (s->domain_count == s->domain_cap) {
		size_t cap = s->domain_cap != 0 ? 2 * s->domain_cap : 8;
		char **p = ph__realloc(&s->mem, s->domains, cap * sizeof *p);

		if (p == NULL)
			return false;
		s->domains = p;
		s->domain_cap = cap;
	}
	if ((s->domains[s->domain_count] = ph__strndup(&s->mem, domain.ptr, domain.len)) == NULL)
		return false;
	s->domain_count++;
	return true;
}

enum fit { FITS, FITS_NOT, NO_MEMORY };

/* Whether a recipient's domain is among those of this session, or may become one. */
static enum fit
fit_domain(struct ph_smtp *s, const struct ph__rcpt *r)
{
	struct ph_str domain = ph__address_domain((struct ph_str){ r->out.address, r->len });
	size_t max = least_limit(s->ext.rcpt_domain_max, PH__SESSION_DOMAINS);

	for (size_t i = s->domain_count; i-- > 0; )
		if (ph__str_eq_nocase(ph__str(s->domains[i]), domain))
			return FITS;
	if (s->domain_count >= max)
		return FITS_NOT;
	return keep_domain(s, domain) ? FITS : NO_MEMORY;
}

static void
tell_rounds(struct ph_smtp *s, const struct ph_txn *t, size_t n)
{
	if (s->spent)
		ph__tracef(s, '*', "The server takes recipients at %llu domains on a connection: "
		           "the others go over another", (unsigned long long)s->ext.rcpt_domain_max);
	else if (t->round_end < t->rcpt_count && n == s->rcpt_unstated)
		ph__tracef(s, '*', "%zu recipients at a time, as the server states no limit (RFC 5321 "
		           "§4.5.3.1.8): the others follow in another transaction", n);
	else if (t->round_end < t->rcpt_count)
		ph__tracef(s, '*', "The server takes %zu recipients at a time: the others follow in "
		           "another transaction", n);
}

bool
ph__plan_round(struct ph_smtp *s, struct ph_txn *t)
{
	size_t max = least_limit(s->ext.rcpt_max != 0 ? s->ext.rcpt_max : s->rcpt_unstated, s->rcpt_limit);
	size_t n = 0, i = t->rcpt_next;

	if (max == SIZE_MAX && s->ext.rcpt_domain_max == 0)
		return true;
	for (; i < t->rcpt_count && n < max; i++) {
		struct ph__rcpt *r = &t->rcpts[i];
		enum fit fit = FITS;

		if (r->out.outcome != PH_PENDING)
			continue;
		if (s->ext.rcpt_domain_max != 0 && (fit = fit_domain(s, r)) == NO_MEMORY) {
			ph__end_nomem(s);
			return false;
		}
		r->put_off = fit == FITS_NOT;
		s->spent |= r->put_off;
		n += !r->put_off;
	}
	t->round_end = i;
	if (n != 0)
		tell_rounds(s, t, n);
	return n != 0;
}

/* A full mailbox (4.2.2) is the recipient's own affair; so is a 452 when none was taken before. */
bool
ph__is_too_many(struct ph_smtp *s, const struct ph__flight *f, const struct ph_reply *r)
{
	struct ph_txn *t = f->txn;
	bool plain = r->enhanced[0] == 0, limit = r->enhanced[1] == 5 && r->enhanced[2] == 3;

	if ((r->code != 452 && r->code != 552) || !(plain || limit) || t->accepted == 0)
		return false;
	if (s->rcpt_limit == 0 || t->accepted < s->rcpt_limit)
		s->rcpt_limit = t->accepted;
	t->rcpts[f->rcpt].put_off = true;
	if (t->round_end > t->rcpt_next) { /* who was not asked for yet need not be now */
		t->round_end = t->rcpt_next;
		ph__tracef(s, '*', "The server takes no more recipients at a time than %zu: the others "
		           "follow in another transaction", t->accepted);
	}
	return true;
}

void
ph__session_set_unstated(struct ph_smtp *s, size_t rcpt_max)
{
	s->rcpt_unstated = rcpt_max;
}

bool
ph__session_is_spent(const struct ph_smtp *s)
{
	return s->spent || (s->ext.mail_max != 0 && s->mails >= s->ext.mail_max);
}

bool
ph__session_is_open(const struct ph_smtp *s)
{
	return s->phase == PH__READY;
}
