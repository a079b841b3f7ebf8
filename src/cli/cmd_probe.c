/* SPDX-License-Identifier: MIT */
/* `posthaste probe`: swaks' job. Words to options, options to a client and a message, one dialogue or
 * many, and what is told at the end. The exit statuses are swaks', here and nowhere else. */
#include "cli/commands.h"

#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>
#include "base/error.h"
#include "cli/link.h"
#include "cli/link_login.h"
#include "cli/probe_flow.h"
#include "cli/probe_message.h"
#include "cli/probe_mx.h"
#include "cli/probe_stats.h"
#include "cli/probe_words.h"
#include "cli/problem.h"
#include "cli/secret.h"
#include "cli/terminal.h"

#define JSON_MAX    (512u * 1024 * 1024)
#define ANSWER_MAX  65536
#define ID_OCTETS   8
#define TEXT_SIZE   1100

struct run {
	struct ph__words         words;
	struct ph__probe_options options;
	struct ph__link_secrets  secrets;
	struct ph__probe         probe;
	struct ph__buf           message;
	struct ph__buf           to, cc;       /* as they stand in the header */
	struct ph__stats         stats;
	char from[TEXT_SIZE], host[TEXT_SIZE], peer[TEXT_SIZE + 16];
	uint64_t runs, failures;
};

/* ---- who and whom ---------------------------------------------------------------------------- */

static void
own_name(char *buf, size_t size)
{
	if (gethostname(buf, size) != 0 || *buf == '\0')
		snprintf(buf, size, "localhost");
	buf[size - 1] = '\0';
}

/* As swaks: the login name at this computer. */
static void
choose_from(struct run *r)
{
	const char *user = getenv("LOGNAME");
	const struct passwd *pw = user == NULL || *user == '\0' ? getpwuid(getuid()) : NULL;
	char host[TEXT_SIZE];

	own_name(host, sizeof host);
	if (pw != NULL)
		user = pw->pw_name;
	snprintf(r->from, sizeof r->from, "%.60s@%.250s", user != NULL ? user : "postmaster", host);
	r->probe.from = r->from;
	if (r->options.from != NULL)
		r->probe.from = strcmp(r->options.from, "<>") == 0 ? "" : r->options.from;
}

static enum ph_code
add_recipient(struct run *r, struct ph_str address, struct ph_error *err)
{
	struct ph__probe *p = &r->probe;
	const char **more = ph__realloc(&ph__libc_memory, p->recipients,
	                                (p->recipient_count + 1) * sizeof *more);
	const char *copy = ph__arena_strndup(&r->options.arena, address.ptr, address.len);

	if (more != NULL)
		p->recipients = more;
	if (more == NULL || copy == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	p->recipients[p->recipient_count++] = copy;
	return PH_OK;
}

static enum ph_code
add_recipients(struct run *r, const struct ph__option_list *list, struct ph__buf *header,
               struct ph_error *err)
{
	enum ph_code rc = PH_OK;

	for (size_t i = 0; i < list->count && rc == PH_OK; i++) {
		struct ph_str rest = ph__str(list->items[i]);

		if (header != NULL && header->len != 0)
			ph__buf_add_char(header, ',');
		if (header != NULL)
			ph__buf_add_str(header, list->items[i]);
		while (rest.len != 0 && rc == PH_OK) {
			struct ph_str address = ph__probe_cut_address(&rest);

			if (address.len != 0)
				rc = add_recipient(r, address, err);
		}
	}
	return rc;
}

/* Asks a person; where there is none `problem` and `hint` say what is missing. */
static enum ph_code
ask(struct run *r, const char *question, const char **ret, const char *problem, const char *hint,
    struct ph_error *err)
{
	struct ph__buf answer;
	enum ph_code rc;

	ph__buf_init(&answer, &ph__libc_memory, ANSWER_MAX);
	rc = ph__terminal_ask(question, &answer, err);
	if (rc == PH_ECONFIG || (rc == PH_OK && answer.len == 0))
		rc = ph__contradiction(err, problem, hint);
	if (rc == PH_OK && (*ret = ph__arena_strndup(&r->options.arena, ph__buf_cstr(&answer),
	                                             answer.len)) == NULL)
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	ph__buf_done(&answer);
	return rc;
}

static enum ph_code
ask_recipient(struct run *r, struct ph_error *err)
{
	const char *answer = NULL;
	enum ph_code rc = ask(r, "To: ", &answer, "no recipient is given",
	                      "name one: --to ADDRESS; or end before: --quit-after mail", err);
	struct ph__option_list one = { &answer, 1 };

	return rc == PH_OK ? add_recipients(r, &one, &r->to, err) : rc;
}

static enum ph_code
read_envelope(struct run *r, struct ph_error *err)
{
	const struct ph__probe_options *o = &r->options;
	enum ph_code rc;

	choose_from(r);
	if ((rc = add_recipients(r, &o->to, &r->to, err)) != PH_OK ||
	    (rc = add_recipients(r, &o->cc, &r->cc, err)) != PH_OK ||
	    (rc = add_recipients(r, &o->bcc, NULL, err)) != PH_OK)
		return rc;
	if (r->probe.recipient_count == 0 && (o->dump_mail || ph__probe_comes_to(o, PH__PROBE_RCPT)))
		rc = ask_recipient(r, err);
	return rc;
}

/* ---- the message ----------------------------------------------------------------------------- */

static enum ph_code
make_message(struct run *r, struct ph_error *err)
{
	const struct ph__probe_options *o = &r->options;
	char date[64], id[TEXT_SIZE + 64], boundary[64], host[TEXT_SIZE];
	unsigned char octets[ID_OCTETS];
	time_t now = time(NULL);
	struct tm local = { 0 };
	size_t n;
	enum ph_code rc;
	struct ph__probe_message m = {
		.data = o->data, .body = o->body, .headers = o->headers, .new_headers = o->new_headers,
		.parts = o->parts, .no_fixup = o->no_fixup, .no_strip_from = o->no_strip_from,
		.from = r->probe.from, .to = ph__buf_cstr(&r->to), .cc = ph__buf_cstr(&r->cc),
		.date = date, .id = id, .boundary = boundary,
	};

	if (!o->dump_mail && !ph__probe_comes_to(o, PH__PROBE_BODY))
		return PH_OK;
	if (getrandom(octets, sizeof octets, 0) != (ssize_t)sizeof octets)
		return ph__fail(err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM,
		                "no random octets for the Message-ID");
	localtime_r(&now, &local);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S %z", &local);
	n = strftime(id, sizeof id, "%Y%m%d%H%M%S.", &local);
	snprintf(boundary, sizeof boundary, "=_");
	for (size_t i = 0; i < ID_OCTETS; i++) {
		n += (size_t)snprintf(id + n, sizeof id - n, "%02x", octets[i]);
		snprintf(boundary + 2 + 2 * i, sizeof boundary - 2 - 2 * i, "%02x", octets[i]);
	}
	own_name(host, sizeof host);
	snprintf(id + n, sizeof id - n, "@%.250s", host);
	rc = ph__probe_message_make(&m, &r->message, err);
	r->probe.message = ph__buf_str(&r->message);
	return rc;
}

/* ---- the client ------------------------------------------------------------------------------ */

static enum ph_code
ask_user(struct run *r, struct ph_error *err)
{
	struct ph__link_options *o = &r->options.link;
	char user[PH__LINK_USER_MAX];
	enum ph_code rc;

	if (ph__link_user(o, user, sizeof user) != NULL ||
	    (ph__link_login_wanted(o) && ph__link_login_check(o, NULL) == PH_OK))
		return PH_OK; /* GSSAPI, EXTERNAL and tokens go without */
	rc = ask(r, "Username: ", &o->user, "a login needs a user", "name it: --user NAME, or -au NAME",
	         err);
	return rc == PH_OK ? ph__link_login_check(o, err) : rc;
}

static enum ph_code
read_secrets(struct run *r, struct ph_error *err)
{
	enum ph_code rc = ph__link_read_proxy(&r->options.link, &r->secrets.proxy, err);

	if (rc != PH_OK || r->options.auth == PH__PROBE_AUTH_NONE ||
	    !ph__probe_comes_to(&r->options, PH__PROBE_AUTH))
		return rc;
	if ((rc = ask_user(r, err)) == PH_OK)
		rc = ph__link_read_login(&r->options.link, &r->secrets.login, err);
	return rc;
}

static enum ph_code
make_client(struct run *r, struct ph_error *err)
{
	const struct ph__probe_options *o = &r->options;
	bool has_secret = r->secrets.login.len != 0 || o->link.has_password;
	struct ph_credentials credentials;
	struct ph_client_opts opts = ph__link_client_opts(&o->link, has_secret
	                                                  ? ph__buf_cstr(&r->secrets.login) : NULL,
	                                                  &r->secrets.proxy, &credentials);

	opts.tls = &o->link.tls;
	opts.proxy_header = o->proxy_header;
	if (o->auth == PH__PROBE_AUTH_NONE)
		opts.credentials = NULL;
	opts.allow_clear_auth |= o->this_machine;
	opts.show_secrets = o->show_secrets;
	opts.transcript = ph__log_trace;
	opts.transcript_user = &r->probe.log;
	if (o->raw)
		opts.interrupted = ph__raw_interrupted;
	return ph_client_new(&r->probe.client, &opts, err);
}

/* "HOST:PORT" as swaks says whom it tries. */
static void
name_peer(struct run *r)
{
	const struct ph__probe_options *o = &r->options;
	unsigned port = ph__probe_port(o);
	struct ph_str host = ph__probe_host(o);

	snprintf(r->host, sizeof r->host, "%.*s", (int)host.len, host.ptr);
	if (port != 0)
		snprintf(r->peer, sizeof r->peer, "%s:%u", r->host, port);
	else
		snprintf(r->peer, sizeof r->peer, "%s", r->host);
	ph__tls_report_init(&r->probe.tls, r->host, (uint16_t)port, o->link.tls.alpn);
}

static enum ph_code
prepare(struct run *r, struct ph_error *err)
{
	const struct ph__probe_options *o = &r->options;
	struct ph__log *log = &r->probe.log;
	enum ph_code rc;

	log->style = (struct ph__log_style){
		.quiet = o->json || o->repeat.given, .hide_send = o->hide_send,
		.hide_receive = o->hide_receive, .hide_info = o->hide_info, .hide_all = o->hide_all,
		.silent = o->silent.given ? (unsigned)o->silent.value : 0,
		.suppress_data = o->suppress_data,
	};
	if ((rc = read_envelope(r, err)) != PH_OK || (rc = make_message(r, err)) != PH_OK || o->dump_mail)
		return rc;
	name_peer(r);
	log->host = r->host;
	log->peer = r->peer;
	log->local_certificate = o->link.tls.cert_file;
	log->proxy_header = o->proxy_header;
	if ((rc = read_secrets(r, err)) != PH_OK)
		return rc;
	rc = make_client(r, err);
	ph__link_secrets_done(&r->secrets);
	return rc;
}

/* ---- what is told at the end ----------------------------------------------------------------- */

/* For a file or a pipe octet for octet. */
static void
print_message(struct ph_str text)
{
	if (!isatty(STDOUT_FILENO)) {
		fwrite(text.ptr, 1, text.len, stdout);
		return;
	}
	while (text.len != 0) {
		struct ph_str line = ph__str_line(&text);

		ph__terminal_put(stdout, line, 0);
		putchar('\n');
	}
}

static void
json_timings(struct ph__json *j, const struct ph__probe *p)
{
	ph__json_object(j, "timings_ms");
	for (int s = 1; s < PH__PROBE_STAGES; s++)
		if (p->took_us[s] != 0)
			ph__json_ms(j, ph__probe_stage_name((enum ph__probe_stage)s), p->took_us[s]);
	ph__json_ms(j, "total", p->total_us);
	ph__json_end_object(j);
}

static void
json_envelope(struct ph__json *j, const struct ph__probe *p)
{
	ph__json_text(j, "from", ph__str(p->from));
	ph__json_array(j, "recipients");
	for (size_t i = 0; i < p->recipient_count; i++)
		ph__json_text(j, NULL, ph__str(p->recipients[i]));
	ph__json_end_array(j);
}

static void
json_run(struct run *r, struct ph__json *j)
{
	const struct ph__probe *p = &r->probe;

	ph__json_cstr(j, "stage", ph__probe_stage_name(p->reached));
	ph__json_text(j, "server", ph__str(r->options.link.server));
	json_envelope(j, p);
	ph__tls_report_json(&p->tls, j, (int64_t)time(NULL));
	ph__capabilities_json(&p->capabilities, j);
	ph__log_json(&p->log, j);
	json_timings(j, p);
	ph__problem_json(j, &p->error);
}

static void
print_json(struct run *r, int status, const struct ph_error *err)
{
	struct ph__buf out;
	struct ph__json j = { .out = &out };

	ph__buf_init(&out, &ph__libc_memory, JSON_MAX);
	ph__json_object(&j, NULL);
	ph__json_uint(&j, "exit", (uint64_t)status);
	if (err != NULL) { /* before there was a dialogue */
		ph__json_null(&j, "stage");
		ph__problem_json(&j, err);
	} else if (r->options.repeat.given) {
		ph__json_uint(&j, "runs", r->runs);
		ph__json_uint(&j, "failures", r->failures);
		ph__stats_json(&r->stats, &j);
	} else {
		json_run(r, &j);
	}
	ph__json_end_object(&j);
	if (ph__buf_ok(&out))
		puts(ph__buf_cstr(&out));
	else
		ph__warn(stderr, "there is no memory for the record");
	ph__buf_done(&out);
}

static void
print_reports(struct run *r)
{
	const struct ph__probe_options *o = &r->options;

	if (o->hide_all || o->silent.value >= 3)
		return;
	/* without TLS because of a problem, that has been told */
	if (o->tls_report && (r->probe.tls.under_tls || r->probe.status == 0)) {
		putchar('\n');
		ph__tls_report_print(&r->probe.tls, stdout, (int64_t)time(NULL));
	}
	if (o->capabilities) {
		putchar('\n');
		ph__capabilities_print(&r->probe.capabilities, stdout);
	}
}

/* ---- running --------------------------------------------------------------------------------- */

static void
add_samples(struct run *r)
{
	const struct ph__probe *p = &r->probe;

	for (int s = 1; s < PH__PROBE_STAGES; s++)
		if (p->took_us[s] != 0)
			ph__stats_add(&r->stats, ph__probe_stage_name((enum ph__probe_stage)s), p->took_us[s]);
	ph__stats_add(&r->stats, "total", p->total_us);
}

/* The first failure is the one that is reported, once; a Ctrl-C ends all. */
static int
run_many(struct run *r)
{
	int first = 0;

	while (r->runs < r->options.repeat.value) {
		int status = ph__probe_run(&r->probe);

		if (status == PH__PROBE_CANCELLED)
			return status;
		r->runs++;
		r->failures += status != 0;
		first = first == 0 ? status : first;
		if (status != 0)
			r->probe.log.style.silent = 3;
		if (status == 0)
			add_samples(r);
	}
	return first;
}

static int
converse(struct run *r)
{
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0); /* what is said is seen when it is said, in a pipe too */
	ph__link_heed_signals(r->probe.client);
	status = r->options.repeat.given ? run_many(r) : ph__probe_run(&r->probe);
	ph__link_heed_signals(NULL);
	if (r->options.json) {
		print_json(r, status, NULL);
	} else if (r->options.repeat.given) {
		if (r->failures < r->runs)
			ph__stats_print(&r->stats, stdout);
		if (r->failures != 0)
			printf("%llu of %llu runs failed; their times are not counted.\n",
			       (unsigned long long)r->failures, (unsigned long long)r->runs);
	} else {
		print_reports(r);
	}
	return status;
}

/* The same header and nothing else that could be wrong. */
static bool
is_header_bad(const char *header)
{
	struct ph_client_opts opts = { PH_CLIENT_OPTS_INIT, .server = "smtp://localhost",
	                               .proxy_header = header };
	struct ph_client *client = NULL;
	enum ph_code rc = header != NULL ? ph_client_new(&client, &opts, NULL) : PH_OK;

	ph_client_free(client);
	return rc != PH_OK;
}

static int
refuse(struct run *r, const struct ph_error *err)
{
	bool header = r->words.proxy_header_bad || is_header_bad(r->options.proxy_header);
	bool nobody = err->code == PH_ENOHOST || err->code == PH_EDEFERRED; /* of the MX look-up */
	int status = header ? PH__PROBE_NO_HEADER : nobody ? PH__PROBE_NO_SERVER
	           : err->code == PH_ECANCELLED ? PH__PROBE_CANCELLED : PH__PROBE_USAGE;

	if (r->options.json)
		print_json(r, status, err);
	ph__problem_print_as(stderr, err, "");
	return status;
}

static enum ph_code
read_words(struct run *r, int argc, char **argv, bool *ret_help, struct ph_error *err)
{
	enum ph_code rc;

	r->words.def = &ph__probe_options_def;
	r->words.ask = ph__terminal_ask;
	rc = ph__words_translate(&r->words, argc, argv, &r->secrets.login, err);
	if (r->words.password_given) {
		ph__secret_shield();
		ph__warn(stderr, "a password on the command line can be read by every process until it is "
		                 "wiped; use --password-file, --password-fd, --password-command, or -ap alone");
	}
	r->options.link.has_password = r->words.password_given;
	r->options.wants_login = r->words.password_wanted;
	return rc == PH_OK ? ph__probe_options_read(&r->options, r->words.argc, r->words.argv, ret_help, err)
	                   : rc;
}

static int
run(struct run *r, int argc, char **argv)
{
	struct ph_error err = PH_ERROR_INIT;
	bool help = false;
	enum ph_code rc = read_words(r, argc, argv, &help, &err);

	if (help) {
		ph__options_help(&ph__probe_options_def, stdout);
		return ph__output_status();
	}
	if (rc == PH_OK) {
		ph__link_warn(&r->options.link);
		rc = prepare(r, &err);
	}
	if (rc != PH_OK)
		return refuse(r, &err);
	if (!r->options.dump_mail)
		return converse(r);
	print_message(r->probe.message);
	return 0;
}

int
ph__cmd_probe(int argc, char **argv)
{
	struct run r = { .probe.o = &r.options };
	int status, output;

	ph__link_secrets_init(&r.secrets);
	ph__buf_init(&r.to, &ph__libc_memory, PH__LINK_SECRET_MAX * 64);
	ph__buf_init(&r.cc, &ph__libc_memory, PH__LINK_SECRET_MAX * 64);
	ph__log_init(&r.probe.log);
	ph__capabilities_init(&r.probe.capabilities);
	status = run(&r, argc, argv);
	output = ph__output_status();
	ph_client_free(r.probe.client);
	ph__tls_report_done(&r.probe.tls);
	ph__capabilities_done(&r.probe.capabilities);
	ph__stats_done(&r.stats);
	ph__log_done(&r.probe.log);
	ph__buf_done(&r.message);
	ph__buf_done(&r.cc);
	ph__buf_done(&r.to);
	ph__free(&ph__libc_memory, r.probe.recipients);
	ph__link_secrets_done(&r.secrets);
	ph__probe_options_done(&r.options);
	ph__words_done(&r.words);
	return status != 0 ? status : output;
}
