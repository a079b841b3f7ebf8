/* SPDX-License-Identifier: MIT */
/* The TLS report. See probe_tls.h.
 *
 * What is told of a certificate is what stands in it, whether or not anybody should believe it. The
 * library has escaped its texts already; they pass through the terminal's escaping all the same. */
#include "cli/probe_tls.h"

#include <stdarg.h>
#include <string.h>
#include "base/base64.h"
#include "base/calendar.h"
#include "base/error.h"
#include "cli/table.h"
#include "cli/terminal.h"

#define INDENT      16
#define NAMES_TOLD  20   /* of a certificate, to people; some have hundreds */
#define SOON        14   /* days: who renews automatically has done so by then */
#define DAY         86400
#define RSA_LEAST   2048 /* bits: NIST SP 800-131A, CA/Browser Forum */
#define CURVE_LEAST 224
#define DER_MAX     (1024 * 1024)
#define RECORD_MAX  512  /* of a TLSA record's line */

void
ph__tls_report_init(struct ph__tls_report *r, const char *host, uint16_t port,
                    const char *alpn_offered)
{
	*r = (struct ph__tls_report){ .host = host, .port = port, .alpn_offered = alpn_offered };
	ph__arena_init(&r->arena, &ph__libc_memory);
}

void
ph__tls_report_done(struct ph__tls_report *r)
{
	ph__arena_done(&r->arena);
}

/* ---- collecting ------------------------------------------------------------------------------ */

/* Makes its own what the certificate borrows. */
static bool
keep_certificate(struct ph__tls_report *r, struct ph_certificate *x)
{
	const char **names = ph__arena_alloc(&r->arena, (x->name_count + 1) * sizeof *names);
	char *der = ph__arena_strndup(&r->arena, (const char *)x->der, x->der_len);

	if (names == NULL || der == NULL)
		return false;
	for (size_t i = 0; i < x->name_count; i++)
		if ((names[i] = ph__arena_strndup(&r->arena, x->names[i], strlen(x->names[i]))) == NULL)
			return false;
	x->names = names;
	x->der = (const unsigned char *)der;
	return true;
}

enum ph_code
ph__tls_report_take(struct ph__tls_report *r, struct ph_client *c, struct ph_error *err)
{
	const struct ph_tls_facts *facts = ph_client_tls_facts(c);
	struct ph_certificate x = PH_CERTIFICATE_INIT;

	r->under_tls = r->chain_is_cut = false;
	r->count = 0;
	ph__arena_reset(&r->arena); /* of what was taken before */
	if (facts == NULL)
		return PH_OK;
	r->chain = ph__arena_alloc(&r->arena, PH__TLS_REPORT_CHAIN * sizeof *r->chain);
	if (r->chain == NULL)
		return ph__fail_nomem(err, PH_STAGE_TLS);
	r->facts = *facts;
	r->under_tls = true;
	for (; ph_client_certificate(c, r->count, &x); r->count++) {
		if (r->count == PH__TLS_REPORT_CHAIN) {
			r->chain_is_cut = true;
			break;
		}
		if (!keep_certificate(r, &x))
			return ph__fail_nomem(err, PH_STAGE_TLS);
		r->chain[r->count] = x;
	}
	return PH_OK;
}

/* Connects and comes to TLS in the way in which the first connection did. */
static enum ph_code
connect_again(struct ph_client *c, struct ph_error *err)
{
	enum ph_code rc = ph_client_connect(c, NULL, err);

	if (rc == PH_OK && ph_client_tls_facts(c) == NULL)
		rc = ph_client_starttls(c, NULL, err);
	return rc;
}

void
ph__tls_report_try_resuming(struct ph__tls_report *r, struct ph_client *c)
{
	struct ph_error err = PH_ERROR_INIT;
	const struct ph_tls_facts *facts;

	if (!r->under_tls)
		return;
	ph_client_quit(c, NULL, NULL);
	if (connect_again(c, &err) == PH_OK && (facts = ph_client_tls_facts(c)) != NULL) {
		r->second = facts->resumed ? PH__RESUMING_YES : PH__RESUMING_NO;
	} else {
		r->second = PH__RESUMING_FAILED;
		memcpy(r->second_problem, err.text, sizeof r->second_problem);
	}
	ph_client_quit(c, NULL, NULL);
	ph_client_close(c);
}

/* ---- judging --------------------------------------------------------------------------------- */

static struct ph_str
without_last_dot(struct ph_str name)
{
	if (name.len != 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	return name;
}

/* RFC 9525 §6.3: the star stands for the whole first label. */
static bool
name_matches(struct ph_str pattern, struct ph_str host)
{
	const char *dot;

	if (!ph__str_begins(pattern, "*."))
		return ph__str_eq_nocase(pattern, host);
	dot = host.len != 0 ? memchr(host.ptr, '.', host.len) : NULL;
	if (dot == NULL || dot == host.ptr)
		return false;
	host.len -= (size_t)(dot - host.ptr);
	host.ptr = dot;
	pattern.ptr++;
	pattern.len--;
	return ph__str_eq_nocase(pattern, host);
}

bool
ph__certificate_has_name(const struct ph_certificate *x, const char *host)
{
	struct ph_str wanted = without_last_dot(ph__str(host));

	for (size_t i = 0; i < x->name_count; i++)
		if (name_matches(without_last_dot(ph__str(x->names[i])), wanted))
			return true;
	return false;
}

/* The first number of two digits or more in a key's name: "RSA 2048", "EC prime256v1". */
static uint64_t
bits_in(const char *key)
{
	const char *p = key, *end;
	uint64_t n = 0;

	for (; *p != '\0'; p = end + (*end != '\0')) {
		for (end = p; ph__is_digit(*end); end++)
			;
		if (end - p >= 2 && ph__str_to_uint((struct ph_str){ p, (size_t)(end - p) }, UINT32_MAX, &n))
			return n;
	}
	return 0;
}

const char *
ph__weak_key(const char *key)
{
	uint64_t bits = bits_in(key);

	if (strncmp(key, "DSA", 3) == 0)
		return "nobody accepts DSA keys any more";
	if (strncmp(key, "RSA", 3) == 0 && bits != 0 && bits < RSA_LEAST)
		return "an RSA key under 2048 bits can be broken";
	if (strncmp(key, "EC ", 3) == 0 && bits != 0 && bits < CURVE_LEAST)
		return "a curve under 224 bits can be broken";
	return NULL;
}

const char *
ph__weak_signature(const char *signature)
{
	static const char *const weak[] = { "MD2", "MD4", "MD5", "SHA1" };
	struct ph_str rest = ph__str(signature), word;

	if (ph__cstr_eq_nocase(signature, "dsaWithSHA"))
		return "it can be forged";
	while (rest.ptr != NULL) {
		word = ph__str_cut(&rest, '-'); /* "RSA-SHA1", "ecdsa-with-SHA1", "RSA-SHA1-2" */
		for (size_t i = 0; i < sizeof weak / sizeof weak[0]; i++)
			if (ph__str_is(word, weak[i]))
				return "it can be forged";
	}
	return NULL;
}

static bool
is_domain_name(const char *s)
{
	bool letter = false;

	if (s == NULL || *s == '\0' || *s == '.')
		return false;
	for (; *s != '\0'; s++) {
		if (!ph__is_alnum(*s) && *s != '-' && *s != '.' && *s != '_')
			return false;
		letter |= ph__is_alnum(*s) && !ph__is_digit(*s);
	}
	return letter;
}

/* Where the TLSA records stand: at the name that was verified, or dialled; NULL: only an address is known. */
static const char *
tlsa_host(const struct ph__tls_report *r)
{
	if (r->port == 0)
		return NULL;
	return is_domain_name(r->facts.peer_name) ? r->facts.peer_name
	     : is_domain_name(r->host) ? r->host : NULL;
}

/* "3 1 1" pins the server's key, "2 1 1" that of an authority (RFC 7671 §5.1, §5.2). */
static void
tlsa_data(const struct ph__tls_report *r, size_t i, char *buf, size_t size)
{
	snprintf(buf, size, "%c 1 1 %s", i == 0 ? '3' : '2', r->chain[i].spki_sha256);
}

static void
tlsa_record(const struct ph__tls_report *r, size_t i, char *buf, size_t size)
{
	struct ph_str host = without_last_dot(ph__str(tlsa_host(r)));
	char data[80];

	tlsa_data(r, i, data, sizeof data);
	snprintf(buf, size, "_%u._tcp.%.*s. IN TLSA %s", (unsigned)r->port, (int)host.len, host.ptr, data);
}

/* Whole days, rounded down: 0 on the last, -1 on the first behind it. */
static int64_t
days_left(const struct ph_certificate *x, int64_t now)
{
	int64_t left = x->not_after - now;

	return left >= 0 ? left / DAY : -((-left + DAY - 1) / DAY);
}

/* What is wrong, and what to do about it ("": that says itself). */
struct warner {
	void (*put)(void *user, const char *what, const char *advice);
	void *user;
};

static void PH_PRINTF(3, 4)
warn(const struct warner *w, const char *advice, const char *fmt, ...)
{
	char text[1600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	w->put(w->user, text, advice);
}

static const char *
advice_on_trust(const struct ph__tls_report *r, int64_t now)
{
	const struct ph_certificate *own = r->chain;

	if (r->count == 0)
		return "";
	if (own->not_after < now || own->not_before > now)
		return ""; /* told below */
	if (own->self_issued)
		return "get a certificate from an authority that is trusted (Let's Encrypt …); or, for a "
		       "server of your own, trust this one with --ca-file, or pin it with --pin and its "
		       "SHA-256";
	if (r->facts.peer_name[0] != '\0' && !ph__certificate_has_name(own, r->facts.peer_name))
		return "the certificate has other names than the one that was asked for: ask for one of "
		       "those (--tls-name), or have it issued with this name too";
	if (r->count == 1)
		return "if the issuer is an intermediate authority, the server must send its certificate "
		       "too (fullchain.pem); if it is an authority of your own, name it with --ca-file";
	return "if the authority is your own, name its certificate with --ca-file";
}

static void
warn_of_dates(const struct warner *w, const struct ph_certificate *x, size_t i, int64_t now)
{
	int64_t left = days_left(x, now);

	if (x->not_after == 0 || x->not_before == 0)
		warn(w, "", "certificate %zu has an unreadable date", i + 1);
	else if (x->not_after < now)
		warn(w, i == 0 ? "renew it, and make the server load the new one (reload or restart)"
		     : "send the authority's current certificate in its place",
		     "certificate %zu has expired, %lld %s ago", i + 1, (long long)-left,
		     left == -1 ? "day" : "days");
	else if (x->not_before > now)
		warn(w, "look at the clocks of both machines, this one's first",
		     "certificate %zu is not valid yet", i + 1);
	else if (left < SOON)
		warn(w, "renew it now", "certificate %zu expires in %lld %s", i + 1, (long long)left,
		     left == 1 ? "day" : "days");
}

static void
warn_of_certificate(const struct warner *w, const struct ph__tls_report *r, size_t i, int64_t now)
{
	const struct ph_certificate *x = &r->chain[i];
	const char *weak;

	warn_of_dates(w, x, i, now);
	if ((weak = ph__weak_key(x->key)) != NULL)
		warn(w, "make a new key (EC prime256v1, or RSA 2048 and more) and a certificate for it",
		     "the key of certificate %zu is weak (%s): %s", i + 1, x->key, weak);
	/* who issued himself is believed for other reasons than his signature */
	if (!x->self_issued && (weak = ph__weak_signature(x->signature)) != NULL)
		warn(w, "have it issued anew, with SHA-256",
		     "the signature of certificate %zu is weak (%s): %s", i + 1, x->signature, weak);
	if (i == 0 && x->name_count == 0)
		warn(w, "have it issued anew, with the server's names as subjectAltName",
		     "the certificate has no subjectAltName, and nothing else is looked at for names "
		     "(RFC 9525)");
	if (i + 1 < r->count && strcmp(x->issuer, r->chain[i + 1].subject) != 0)
		warn(w, "put the chain in order: each certificate before that of its issuer",
		     "certificate %zu was not issued by certificate %zu", i + 1, i + 2);
}

static void
each_warning(const struct ph__tls_report *r, int64_t now, const struct warner *w)
{
	if (!r->facts.verified && r->facts.problem[0] != '\0')
		warn(w, advice_on_trust(r, now), "not verified: %s", r->facts.problem);
	else if (!r->facts.verified)
		warn(w, "", "not verified: nothing was asked for (--insecure)");
	for (size_t i = 0; i < r->count; i++)
		warn_of_certificate(w, r, i, now);
	if (r->chain_is_cut)
		warn(w, "", "the server sends over %d certificates; the others are not shown",
		     PH__TLS_REPORT_CHAIN);
	if (strcmp(r->facts.version, "TLSv1.2") == 0 && strstr(r->facts.cipher, "DHE") == NULL)
		warn(w, "let the server prefer ciphers with ECDHE",
		     "the key exchange has no forward secrecy: who gets hold of the server's key can read "
		     "what was recorded before");
}

/* ---- for people ------------------------------------------------------------------------------ */

static void
put_field(FILE *to, const char *name, const char *value)
{
	fprintf(to, "  %-*s", INDENT - 2, name);
	ph__terminal_put(to, ph__str(value), INDENT);
	fputc('\n', to);
}

static void
put_alpn(FILE *to, const struct ph__tls_report *r)
{
	struct ph__buf b;

	ph__buf_init(&b, &ph__libc_memory, 2048);
	if (r->alpn_offered == NULL)
		ph__buf_add_str(&b, "not offered");
	else if (r->facts.alpn[0] != '\0')
		ph__buf_addf(&b, "offered %s, agreed on %s", r->alpn_offered, r->facts.alpn);
	else
		ph__buf_addf(&b, "offered %s, none agreed on", r->alpn_offered);
	put_field(to, "ALPN", ph__buf_cstr(&b));
	ph__buf_done(&b);
}

static void
put_session(FILE *to, const struct ph__tls_report *r)
{
	put_field(to, "Session", r->facts.resumed ? "resumed" : "new, by a full handshake");
	switch (r->second) {
	case PH__RESUMING_UNTRIED:
		break;
	case PH__RESUMING_YES:
		put_field(to, "Resumption", "yes, a second connection resumed the session");
		break;
	case PH__RESUMING_NO:
		put_field(to, "Resumption", "no, a second connection took a full handshake too");
		break;
	case PH__RESUMING_FAILED:
		put_field(to, "Resumption", "not known, the second connection failed:");
		fprintf(to, "%*s", INDENT, "");
		ph__put_wrapped(to, ph__str(r->second_problem), INDENT, PH__TEXT_WIDTH);
		fputc('\n', to);
		break;
	}
}

static void
put_names(FILE *to, const struct ph_certificate *x)
{
	fprintf(to, "  %-*s", INDENT - 2, "Names");
	for (size_t i = 0; i < x->name_count && i < NAMES_TOLD; i++) {
		fputs(i == 0 ? "" : i % 4 == 0 ? ",\n" : ", ", to);
		if (i != 0 && i % 4 == 0)
			fprintf(to, "%*s", INDENT, "");
		ph__terminal_put(to, ph__str(x->names[i]), INDENT);
	}
	if (x->name_count > NAMES_TOLD)
		fprintf(to, "\n%*sand %zu more; --json lists them all", INDENT, "",
		        x->name_count - NAMES_TOLD);
	fputs(x->name_count == 0 ? "none\n" : "\n", to);
}

static void
add_date(struct ph__buf *b, int64_t t)
{
	if (t <= 0 || t > PH__DATE_3339_MAX || !ph__date_write_3339(b, t))
		ph__buf_add_str(b, "?");
}

static void
put_validity(FILE *to, const struct ph_certificate *x, int64_t now)
{
	int64_t left = days_left(x, now);
	struct ph__buf b;

	ph__buf_init(&b, &ph__libc_memory, 256);
	add_date(&b, x->not_before);
	ph__buf_add_str(&b, " to ");
	add_date(&b, x->not_after);
	if (x->not_after < now)
		ph__buf_addf(&b, " (EXPIRED %lld days ago)", (long long)-left);
	else if (x->not_before > now)
		ph__buf_add_str(&b, " (NOT YET VALID)");
	else
		ph__buf_addf(&b, " (%lld days left)", (long long)left);
	put_field(to, "Valid", ph__buf_cstr(&b));
	ph__buf_done(&b);
}

/* "RSA 1024 (WEAK)" */
static void
put_judged(FILE *to, const char *name, const char *value, bool weak)
{
	char text[128];

	snprintf(text, sizeof text, "%s%s", value, weak ? " (WEAK)" : "");
	put_field(to, name, text);
}

static void
put_certificate(FILE *to, const struct ph__tls_report *r, size_t i, int64_t now)
{
	const struct ph_certificate *x = &r->chain[i];
	char data[80];

	fprintf(to, "\nCertificate %zu of %zu%s\n", i + 1, r->count,
	        i == 0 ? ", the server's own" : x->self_issued ? ", a root" : ", an authority's");
	put_field(to, "Subject", x->subject);
	put_field(to, "Issuer", x->self_issued ? "itself" : x->issuer);
	if (i == 0 || x->name_count != 0)
		put_names(to, x);
	put_validity(to, x, now);
	put_judged(to, "Key", x->key, ph__weak_key(x->key) != NULL);
	put_judged(to, "Signature", x->signature,
	           !x->self_issued && ph__weak_signature(x->signature) != NULL);
	put_field(to, "Serial", x->serial);
	put_field(to, "SHA-256", x->sha256);
	tlsa_data(r, i, data, sizeof data);
	put_field(to, "TLSA", data);
}

static void
put_records(FILE *to, const struct ph__tls_report *r)
{
	char line[RECORD_MAX];

	if (r->count == 0)
		return;
	if (tlsa_host(r) == NULL) {
		fputs("\nNo TLSA records: they belong to a host's name, and only an address is known "
		      "(--tls-name)\n", to);
		return;
	}
	fputs("\nTLSA records (RFC 7672), if the zone is signed; the first is enough\n", to);
	for (size_t i = 0; i < r->count; i++) {
		tlsa_record(r, i, line, sizeof line);
		fputs("  ", to);
		ph__terminal_put(to, ph__str(line), 2);
		fputc('\n', to);
	}
}

static void
print_warning(void *user, const char *what, const char *advice)
{
	fputs("Warning: ", user);
	ph__put_wrapped(user, ph__str(what), 9, PH__TEXT_WIDTH);
	fputc('\n', user);
	if (*advice == '\0')
		return;
	fprintf(user, "%9s", "To do: ");
	ph__put_wrapped(user, ph__str(advice), 9, PH__TEXT_WIDTH);
	fputc('\n', user);
}

void
ph__tls_report_print(const struct ph__tls_report *r, FILE *to, int64_t now)
{
	const struct warner warner = { print_warning, to };
	char text[300];

	if (!r->under_tls) {
		fputs("The connection is not under TLS: there is nothing to report.\n", to);
		return;
	}
	fputs("TLS of ", to);
	ph__terminal_put(to, ph__str(r->facts.peer_name[0] != '\0' ? r->facts.peer_name : r->host), 0);
	if (r->facts.peer_name[0] != '\0' && strcmp(r->facts.peer_name, r->host) != 0) {
		fputs(" at ", to);
		ph__terminal_put(to, ph__str(r->host), 0);
	}
	if (r->port != 0)
		fprintf(to, ", port %u", (unsigned)r->port);
	fputc('\n', to);
	put_field(to, "Protocol", r->facts.version);
	put_field(to, "Cipher", r->facts.cipher);
	put_field(to, "Key exchange", r->facts.group[0] != '\0' ? r->facts.group : "not known");
	put_alpn(to, r);
	put_session(to, r);
	snprintf(text, sizeof text, r->facts.verified ? "yes, as %s" : "NO, see below",
	         r->facts.peer_name);
	put_field(to, "Verified", text);
	for (size_t i = 0; i < r->count; i++)
		put_certificate(to, r, i, now);
	put_records(to, r);
	fputc('\n', to);
	each_warning(r, now, &warner);
}

/* ---- for programs ---------------------------------------------------------------------------- */

static void
json_date(struct ph__json *j, const char *key, int64_t t)
{
	struct ph__buf b;

	ph__buf_init(&b, &ph__libc_memory, 64);
	if (t > 0 && t <= PH__DATE_3339_MAX && ph__date_write_3339(&b, t))
		ph__json_cstr(j, key, ph__buf_cstr(&b));
	else
		ph__json_null(j, key);
	ph__buf_done(&b);
}

static void
json_certificate(struct ph__json *j, const struct ph__tls_report *r, size_t i, int64_t now)
{
	const struct ph_certificate *x = &r->chain[i];
	struct ph__buf der;
	char data[80];

	ph__buf_init(&der, &ph__libc_memory, DER_MAX);
	tlsa_data(r, i, data, sizeof data);
	ph__base64_encode(&der, x->der, x->der_len, false);
	ph__json_object(j, NULL);
	ph__json_cstr(j, "subject", x->subject);
	ph__json_cstr(j, "issuer", x->issuer);
	ph__json_bool(j, "self_issued", x->self_issued);
	ph__json_array(j, "names");
	for (size_t k = 0; k < x->name_count; k++)
		ph__json_cstr(j, NULL, x->names[k]);
	ph__json_end_array(j);
	json_date(j, "not_before", x->not_before);
	json_date(j, "not_after", x->not_after);
	ph__json_int(j, "days_left", days_left(x, now));
	ph__json_cstr(j, "key", x->key);
	ph__json_cstr(j, "signature", x->signature);
	ph__json_cstr(j, "serial", x->serial);
	ph__json_cstr(j, "sha256", x->sha256);
	ph__json_cstr(j, "spki_sha256", x->spki_sha256);
	ph__json_cstr(j, "tlsa", data);
	ph__json_cstr(j, "der_b64", ph__buf_ok(&der) ? ph__buf_cstr(&der) : NULL);
	ph__json_end_object(j);
	ph__buf_done(&der);
}

static void
json_warning(void *user, const char *what, const char *advice)
{
	struct ph__json *j = user;

	ph__json_object(j, NULL);
	ph__json_cstr(j, "text", what);
	ph__json_cstr(j, "advice", *advice != '\0' ? advice : NULL);
	ph__json_end_object(j);
}

static void
json_records(struct ph__json *j, const struct ph__tls_report *r)
{
	char line[RECORD_MAX];

	ph__json_array(j, "tlsa_records");
	for (size_t i = 0; tlsa_host(r) != NULL && i < r->count; i++) {
		tlsa_record(r, i, line, sizeof line);
		ph__json_cstr(j, NULL, line);
	}
	ph__json_end_array(j);
}

static const char *
word_or_null(const char *s)
{
	return *s != '\0' ? s : NULL;
}

void
ph__tls_report_json(const struct ph__tls_report *r, struct ph__json *j, int64_t now)
{
	static const char *const seconds[] = {
		[PH__RESUMING_UNTRIED] = NULL, [PH__RESUMING_YES] = "resumed",
		[PH__RESUMING_NO] = "full", [PH__RESUMING_FAILED] = "failed",
	};
	const struct warner warner = { json_warning, j };

	if (!r->under_tls) {
		ph__json_null(j, "tls");
		return;
	}
	ph__json_object(j, "tls");
	ph__json_cstr(j, "version", r->facts.version);
	ph__json_cstr(j, "cipher", r->facts.cipher);
	ph__json_cstr(j, "group", word_or_null(r->facts.group));
	ph__json_cstr(j, "alpn_offered", r->alpn_offered);
	ph__json_cstr(j, "alpn", word_or_null(r->facts.alpn));
	ph__json_bool(j, "resumed", r->facts.resumed);
	ph__json_cstr(j, "second_connection", seconds[r->second]);
	ph__json_cstr(j, "second_problem", word_or_null(r->second_problem));
	ph__json_bool(j, "verified", r->facts.verified);
	ph__json_cstr(j, "peer_name", word_or_null(r->facts.peer_name));
	ph__json_cstr(j, "problem", word_or_null(r->facts.problem));
	ph__json_array(j, "chain");
	for (size_t i = 0; i < r->count; i++)
		json_certificate(j, r, i, now);
	ph__json_end_array(j);
	json_records(j, r);
	ph__json_array(j, "warnings");
	each_warning(r, now, &warner);
	ph__json_end_array(j);
	ph__json_end_object(j);
}
