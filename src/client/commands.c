/* SPDX-License-Identifier: MIT */
/* The commands by their names: each makes its line, and says it by ph_client_docmd(). Nothing is said that
 * the server has not offered, or that would be read as something else. */
#include "client/private.h"

#include <string.h>

#include "base/bounds.h"
#include "mail/address.h"
#include "mail/encode.h"
#include "smtp/session.h"

/* Says the command whose arguments are in the line, and frees that. */
static enum ph_code
put_line(struct ph_client *c, const char *verb, struct ph__buf *arguments,
         const struct ph_reply **ret, struct ph_error *err)
{
	enum ph_code rc;

	if (ph__buf_ok(arguments))
		rc = ph_client_docmd(c, verb, ph__buf_cstr(arguments), ret, err);
	else if (arguments->state == PH__BUF_NOMEM)
		rc = ph__fail_nomem(err, PH_STAGE_PREPARE);
	else
		rc = ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		              "the %s command is over %zu octets", verb,
		              arguments->max + strlen(verb) + 3);
	ph__buf_done(arguments);
	return rc;
}

/* ---- hello ----------------------------------------------------------------------------------- */

static enum ph_code
say_hello(struct ph_client *c, const char *verb, const char *name, const struct ph_reply **ret,
          struct ph_error *err)
{
	enum ph_code rc = ph__client_check_alive(c, err);

	if (rc != PH_OK)
		return rc;
	if (name != NULL && (*name == '\0' || strchr(name, ' ') != NULL))
		return ph__fail(err, PH_EINPUT, PH_STAGE_HELLO, PH_CAUSE_ARGUMENT,
		                "the EHLO name is empty or has a space in it");
	return ph_client_docmd(c, verb, name != NULL ? name : c->helo_name, ret, err);
}

enum ph_code
ph_client_ehlo(struct ph_client *c, const char *name, const struct ph_reply **ret,
               struct ph_error *err)
{
	return say_hello(c, c->server.lmtp ? "LHLO" : "EHLO", name, ret, err);
}

enum ph_code
ph_client_helo(struct ph_client *c, const char *name, const struct ph_reply **ret,
               struct ph_error *err)
{
	if (c->server.lmtp)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_HELLO, PH_CAUSE_STATE,
		                "LMTP has no HELO (RFC 2033 §4.1): ph_client_ehlo() says LHLO");
	return say_hello(c, "HELO", name, ret, err);
}

enum ph_code
ph_client_ehlo_or_helo_if_needed(struct ph_client *c, struct ph_error *err)
{
	const struct ph_reply *r = NULL;
	enum ph_code rc;

	if ((rc = ph__client_check_alive(c, err)) != PH_OK || ph__session_is_open(c->drive->smtp))
		return rc;
	rc = ph_client_ehlo(c, NULL, &r, err);
	if (rc != PH_OK && c->drive != NULL && r != NULL && r->code >= 500 && r->code <= 504 &&
	    !c->server.lmtp)
		rc = ph_client_helo(c, NULL, NULL, err);
	return rc;
}

/* ---- a message, step by step ----------------------------------------------------------------- */

/* RFC 5321 §3.2, §4.1.1.11: parameters are EHLO's. RFC 6531 §3.2: so are addresses beyond ASCII. */
static enum ph_code
may_say(const struct ph_client *c, const char *verb, bool utf8, const char *parameters,
        struct ph_error *err)
{
	if (parameters != NULL && *parameters != '\0' && !ph_smtp_is_esmtp(c->drive->smtp))
		return ph__fail(err, PH_EREFUSED, PH_STAGE_PREPARE, PH_CAUSE_NOT_OFFERED,
		                "the server knows HELO only, so %s can have no parameters", verb);
	if (utf8 && !ph_client_has_extn(c, "SMTPUTF8", NULL))
		return ph__fail(err, PH_EREFUSED, PH_STAGE_PREPARE, PH_CAUSE_NOT_OFFERED,
		                "the address has characters beyond ASCII, and the server does not offer "
		                "SMTPUTF8 (RFC 6531)");
	return PH_OK;
}

static enum ph_code
path_command(struct ph_client *c, const char *verb, const char *keyword, const char *address,
             const char *parameters, const struct ph_reply **ret, struct ph_error *err)
{
	struct ph_str a = ph__str(address);
	struct ph__buf line;
	bool utf8 = false;
	enum ph_code rc;

	if ((rc = ph__client_check_alive(c, err)) != PH_OK)
		return rc;
	if ((a.len != 0 || *verb == 'R') && (rc = ph__address_check(a, &utf8, err)) != PH_OK) {
		if (a.len != 0 && memchr(a.ptr, '<', a.len) != NULL)
			ph__hint(err, "give the address alone, without name and angle brackets: local@domain");
		return rc;
	}
	if ((rc = ph_client_ehlo_or_helo_if_needed(c, err)) != PH_OK)
		return rc;
	if ((rc = may_say(c, verb, utf8, parameters, err)) != PH_OK)
		return rc;
	ph__buf_init(&line, &c->mem, PH__PATH_LINE_MAX - strlen(verb) - 3);
	ph__buf_addf(&line, "%s:<", keyword);
	ph__buf_add(&line, a.ptr, a.len);
	ph__buf_add_char(&line, '>');
	if (parameters != NULL && *parameters != '\0')
		ph__buf_addf(&line, " %s", parameters);
	return put_line(c, verb, &line, ret, err);
}

enum ph_code
ph_client_mail(struct ph_client *c, const char *reverse_path, const char *parameters,
               const struct ph_reply **ret, struct ph_error *err)
{
	return path_command(c, "MAIL", "FROM", reverse_path, parameters, ret, err);
}

enum ph_code
ph_client_rcpt(struct ph_client *c, const char *forward_path, const char *parameters,
               const struct ph_reply **ret, struct ph_error *err)
{
	return path_command(c, "RCPT", "TO", forward_path, parameters, ret, err);
}

/* ---- the small ones -------------------------------------------------------------------------- */

enum ph_code
ph_client_rset(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	return ph_client_docmd(c, "RSET", NULL, ret, err);
}

enum ph_code
ph_client_noop(struct ph_client *c, const struct ph_reply **ret, struct ph_error *err)
{
	return ph_client_docmd(c, "NOOP", NULL, ret, err);
}

enum ph_code
ph_client_help(struct ph_client *c, const char *topic, const struct ph_reply **ret,
               struct ph_error *err)
{
	return ph_client_docmd(c, "HELP", topic, ret, err);
}

enum ph_code
ph_client_vrfy(struct ph_client *c, const char *who, const struct ph_reply **ret,
               struct ph_error *err)
{
	return ph_client_docmd(c, "VRFY", who, ret, err);
}

enum ph_code
ph_client_expn(struct ph_client *c, const char *list, const struct ph_reply **ret,
               struct ph_error *err)
{
	return ph_client_docmd(c, "EXPN", list, ret, err);
}

enum ph_code
ph_client_etrn(struct ph_client *c, const char *domain, const struct ph_reply **ret,
               struct ph_error *err)
{
	return ph_client_docmd(c, "ETRN", domain, ret, err);
}

/* ---- Postfix's own --------------------------------------------------------------------------- */

static bool
has_word(struct ph_str words, struct ph_str word)
{
	struct ph_str w;

	while ((w = ph__str_word(&words)).len != 0)
		if (ph__str_eq_nocase(w, word))
			return true;
	return false;
}

static enum ph_code
add_attribute(struct ph__buf *line, const char *verb, const char *offered, const char *attribute,
              struct ph_error *err)
{
	struct ph_str value = ph__str(attribute), name = ph__str_cut(&value, '=');

	if (name.len == 0 || value.len == 0 || ph__str_has_control(value))
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "an attribute of %s is NAME=value, without a control character", verb);
	if (value.len > PH__XTEXT_VALUE_MAX)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
		                "the value of %.*s is over %d octets", (int)name.len, name.ptr,
		                PH__XTEXT_VALUE_MAX);
	if (!has_word(ph__str(offered), name))
		return ph__fail(err, PH_EREFUSED, PH_STAGE_PREPARE, PH_CAUSE_NOT_OFFERED,
		                "the server takes no %.*s in %s: it takes %.200s", (int)name.len, name.ptr,
		                verb, offered);
	if (line->len != 0)
		ph__buf_add_char(line, ' ');
	ph__buf_add(line, name.ptr, name.len + 1);
	ph__xtext_encode(line, value);
	return PH_OK;
}

static enum ph_code
attributes_command(struct ph_client *c, const char *verb, const char *const *attributes,
                   const struct ph_reply **ret, struct ph_error *err)
{
	const char *offered = NULL;
	struct ph__buf line;
	enum ph_code rc;

	if (attributes == NULL || attributes[0] == NULL)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "%s needs an attribute", verb);
	if ((rc = ph_client_ehlo_or_helo_if_needed(c, err)) != PH_OK)
		return rc;
	if (!ph_client_has_extn(c, verb, &offered))
		return ph__fail(err, PH_EREFUSED, PH_STAGE_PREPARE, PH_CAUSE_NOT_OFFERED,
		                "the server does not offer %s to us", verb);
	ph__buf_init(&line, &c->mem, PH__COMMAND_LINE_MAX - strlen(verb) - 3);
	for (size_t i = 0; attributes[i] != NULL && rc == PH_OK; i++)
		rc = add_attribute(&line, verb, offered, attributes[i], err);
	if (rc == PH_OK)
		return put_line(c, verb, &line, ret, err);
	ph__buf_done(&line);
	return rc;
}

enum ph_code
ph_client_xclient(struct ph_client *c, const char *const *attributes, const struct ph_reply **ret,
                  struct ph_error *err)
{
	return attributes_command(c, "XCLIENT", attributes, ret, err);
}

enum ph_code
ph_client_xforward(struct ph_client *c, const char *const *attributes, const struct ph_reply **ret,
                   struct ph_error *err)
{
	return attributes_command(c, "XFORWARD", attributes, ret, err);
}
