/* SPDX-License-Identifier: MIT */
/* Problems in words. See problem.h. The text of an error may hold what a server or a caller sent,
 * so all of it passes through the terminal's escaping. */
#include "cli/problem.h"

#include <errno.h>
#include <stdarg.h>
#include "base/error.h"
#include "base/str.h"
#include "cli/terminal.h"

#define INDENT 11 /* under the text behind "posthaste: " */

/* What a class means for the mail: was it sent, and is it worth trying again? */
static const char *
consequence(const struct ph_error *err)
{
	switch (err->code) {
	case PH_OK:        return "";
	case PH_EUSAGE:    return "";
	case PH_EINPUT:    return "Nothing was sent; trying again as it is will not help.";
	case PH_ENOINPUT:  return "Nothing was sent.";
	case PH_ENOUSER:   return "Nobody got it; trying again will not help.";
	case PH_ENOHOST:   return "It cannot be delivered there; trying again will not help.";
	case PH_EREFUSED:  return err->cause == PH_CAUSE_NULL_MX ? "Nothing was sent; trying again as it is "
	                          "will not help." : err->reply != 0 ? "It was refused for good; trying again will not help."
	                          : "This server cannot take it as it is; another may.";
	case PH_EPARTIAL:  return "Some recipients got it, others did not.";
	case PH_ESYSTEM:   return "Nothing was sent; this computer is in trouble.";
	case PH_EDEFERRED: return "It was not sent; it may be tried again later.";
	case PH_EINDOUBT:  return "It was handed over whole, and no valid answer came: it may have "
	                          "been delivered, and trying again may deliver it twice.";
	case PH_EPROTOCOL: return "It was not sent: the server did not follow the protocol.";
	case PH_EAUTH:     return "It was not sent: the server did not accept who we say we are.";
	case PH_ESECURITY: return "It was not sent: the connection is not as secure as was asked for.";
	case PH_ECONFIG:   return "Nothing was sent.";
	case PH_ECANCELLED:return "It was not sent.";
	}
	return "";
}

static void
put_name(FILE *to, const char *name, const char *colour)
{
	if (ph__terminal_has_colour(to))
		fprintf(to, "\033[%sm%s\033[0m ", colour, name);
	else
		fprintf(to, "%s ", name);
}

static void
put_line(FILE *to, const char *before, const char *text)
{
	fprintf(to, "%*s%s", INDENT, "", before);
	ph__terminal_put(to, ph__str(text), INDENT);
	fputc('\n', to);
}

void
ph__problem_print(FILE *to, const struct ph_error *err)
{
	ph__problem_print_as(to, err, consequence(err));
}

void
ph__problem_print_as(FILE *to, const struct ph_error *err, const char *means)
{
	const char *text = err->text[0] != '\0' ? err->text : ph_code_text(err->code);

	put_name(to, "posthaste:", "1;31");
	ph__terminal_put(to, ph__str(text), INDENT);
	fputc('\n', to);
	if (*means != '\0')
		put_line(to, "", means);
	if (err->hint[0] != '\0')
		put_line(to, "Hint: ", err->hint);
}

void
ph__problem_json(struct ph__json *j, const struct ph_error *err)
{
	if (err == NULL || err->code == PH_OK) {
		ph__json_null(j, "error");
		return;
	}
	ph__json_object(j, "error");
	ph__json_cstr(j, "class", ph_code_name(err->code));
	ph__json_cstr(j, "stage", ph_stage_name(err->stage));
	ph__json_cstr(j, "cause", ph_cause_name(err->cause));
	ph__json_text(j, "text", ph__str(err->text));
	ph__json_cstr(j, "hint", err->hint[0] != '\0' ? err->hint : NULL);
	ph__json_end_object(j);
}

int
ph__output_status(void)
{
	struct ph_error err = PH_ERROR_INIT;

	if (fflush(stdout) != 0)
		ph__fail_errno(&err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
		               "cannot write to standard output");
	else if (ferror(stdout)) /* earlier, and errno has had other uses since */
		ph__fail(&err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, "cannot write to standard output");
	else
		return 0;
	ph__problem_print_as(stderr, &err, "");
	return ph_code_exit_status(PH_ESYSTEM);
}

void
ph__warn(FILE *to, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	put_name(to, "posthaste: warning:", "1;33");
	ph__terminal_put(to, ph__str(text), INDENT);
	fputc('\n', to);
}
