/* SPDX-License-Identifier: MIT */
#ifndef PH_CLI_PROBE_STEP_H
#define PH_CLI_PROBE_STEP_H
/* What the stages of a dialogue (probe_flow.c, probe_mail.c) have in common. A step returns whether to go
 * on; when not, p->status says how it ends. The stage that is going on is p->log.stage. */
#include "cli/probe_flow.h"

/* Ends it with this status, because of a reply: --expect may have wanted just that. False. */
bool ph__step_refuse_by_reply(struct ph__probe *p, int status);
/* Whether what failed was the last reply and nothing else. */
bool ph__step_was_refused(const struct ph__probe *p);
/* `err`: what it means, if it is a refusal; NULL: it is none. */
void ph__step_note_reply(struct ph__probe *p, const struct ph_reply *r, const struct ph_error *err);
/* Ends it, because no reply came: the connection, the server or we ourselves are in the way. False. */
bool ph__step_fail(struct ph__probe *p, const struct ph_error *err);
/* Drops the connection, which is how it was to end. False. */
bool ph__step_drop(struct ph__probe *p);
/* Whether the command of this stage is to be sent, and no more. */
bool ph__step_is_parting(const struct ph__probe *p);
/* A command and its reply, as the transcript shows them. */
bool ph__step_say(struct ph__probe *p, const char *verb, const char *arguments);

/* The steps of probe_mail.c. With --pipeline, where the server has it, MAIL's says and hears those of RCPT
 * and DATA, too. */
bool ph__step_mail(struct ph__probe *p);
bool ph__step_rcpt(struct ph__probe *p);
bool ph__step_data(struct ph__probe *p);
bool ph__step_body(struct ph__probe *p);

#endif
