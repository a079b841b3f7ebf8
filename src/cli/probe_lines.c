/* SPDX-License-Identifier: MIT */
/* Lines of input. See probe_lines.h.
 *
 * There is one buffer, also under the editor, so that what was typed ahead is never lost. Signals are let
 * in only while waiting: one that came between looking for it and waiting would be missed. */
#include "cli/probe_lines.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "cli/line_editor.h"

#define READ_MAX (64 * 1024)

/* ---- signals --------------------------------------------------------------------------------- */

static const int held[] = { SIGINT, SIGTERM, SIGHUP };
#define HELD (sizeof held / sizeof held[0])

static volatile sig_atomic_t caught;
static struct sigaction before[HELD], before_stop;

static void
on_signal(int sig)
{
	caught = sig;
}

bool
ph__lines_interrupted(void)
{
	return caught != 0;
}

/* Who is stopped (^Z) in the middle of a line would leave the terminal as the editor has set it. */
static void
hold_signals(bool person)
{
	struct sigaction ours = { .sa_handler = on_signal }, none = { .sa_handler = SIG_IGN };

	caught = 0;
	for (size_t i = 0; i < HELD; i++) {
		sigaction(held[i], &ours, &before[i]);
		if (before[i].sa_handler == SIG_IGN) /* nohup stays in force */
			sigaction(held[i], &before[i], NULL);
	}
	sigaction(SIGTSTP, person ? &none : NULL, &before_stop);
}

static void
release_signals(void)
{
	for (size_t i = 0; i < HELD; i++)
		sigaction(held[i], &before[i], NULL);
	sigaction(SIGTSTP, &before_stop, NULL);
}

/* ---- waiting and reading --------------------------------------------------------------------- */

/* Waits for the keyboard, the server, or a signal; true when there is input to be read. */
static bool
wait_for_input(struct ph__lines *l)
{
	struct pollfd fds[] = { { .fd = l->fd, .events = POLLIN },
	                        { .fd = l->server, .events = l->server_events } };
	sigset_t ours, outside;
	bool interrupted;
	int n = -1;

	sigemptyset(&ours);
	for (size_t i = 0; i < HELD; i++)
		sigaddset(&ours, held[i]);
	sigprocmask(SIG_BLOCK, &ours, &outside);
	while (!(interrupted = caught != 0) && (n = ppoll(fds, 2, NULL, &outside)) < 0 &&
	       errno == EINTR)
		;
	sigprocmask(SIG_SETMASK, &outside, NULL);
	l->why = interrupted ? PH__LINES_SIGNAL : n < 0 ? PH__LINES_ERROR : PH__LINES_SERVER;
	return !interrupted && n > 0 && fds[1].revents == 0;
}

/* Reads more. False: there is none, and `why` says why. */
static bool
fill(struct ph__lines *l)
{
	ssize_t n;

	ph__buf_drop_front(&l->in, l->at);
	l->at = 0;
	if (l->in.len > PH__LINES_MAX) {
		l->why = PH__LINES_TOO_LONG;
		return false;
	}
	if (l->eof) {
		l->why = PH__LINES_END;
		return false;
	}
	if (!wait_for_input(l))
		return false;
	if (!ph__buf_reserve(&l->in, READ_MAX)) {
		errno = ENOMEM;
		l->why = PH__LINES_ERROR;
		return false;
	}
	n = read(l->fd, l->in.p + l->in.len, READ_MAX);
	if (n > 0)
		l->in.len += (size_t)n;
	l->eof = n == 0 || (n < 0 && errno == EIO && l->terminal != NULL); /* it was hung up */
	l->why = n > 0 || l->eof ? PH__LINES_END : PH__LINES_ERROR;
	return n > 0 || (n < 0 && errno == EINTR && fill(l));
}

/* For the editor. */
static int
next_octet(void *user)
{
	struct ph__lines *l = user;

	if (l->at == l->in.len && !fill(l))
		return -1;
	return (unsigned char)l->in.p[l->at++];
}

static const char *
line_end(const struct ph__lines *l)
{
	return l->at < l->in.len ? memchr(l->in.p + l->at, '\n', l->in.len - l->at) : NULL;
}

bool
ph__lines_ready(const struct ph__lines *l)
{
	return line_end(l) != NULL;
}

static enum ph__lines_end
plain_line(struct ph__lines *l, struct ph_str *ret)
{
	const char *end;
	size_t n;

	while ((end = line_end(l)) == NULL)
		if (!fill(l)) {
			if (l->why != PH__LINES_END || l->in.len == 0)
				return l->why;
			end = l->in.p + l->in.len; /* a last line without its end */
			break;
		}
	n = (size_t)(end - (l->in.p + l->at));
	*ret = (struct ph_str){ l->in.p + l->at, n };
	l->at += n + (l->at + n < l->in.len);
	if (n != 0 && ret->ptr[n - 1] == '\r')
		ret->len--;
	return PH__LINES_LINE;
}

static void
put_prompt(const struct ph__lines *l, const char *prompt)
{
	if (l->terminal == NULL)
		return;
	fputs(prompt, l->terminal);
	fflush(l->terminal);
}

/* Unseen if it is typed: the echo is off before anybody is asked. */
static enum ph__lines_end
secret_line(struct ph__lines *l, const char *prompt, struct ph_str *ret)
{
	struct termios shown, silent;
	bool typed = tcgetattr(l->fd, &shown) == 0;
	enum ph__lines_end got;

	if (typed) {
		silent = shown;
		silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
		silent.c_lflag |= ICANON | ECHONL;
		tcsetattr(l->fd, TCSADRAIN, &silent);
	}
	put_prompt(l, prompt);
	got = plain_line(l, ret);
	if (typed)
		tcsetattr(l->fd, TCSADRAIN, &shown);
	return got;
}

static enum ph__lines_end
edited_line(struct ph__lines *l, const char *prompt, struct ph_str *ret)
{
	size_t n = 0;
	const char *line;

	l->why = PH__LINES_END;
	line = l->module->read(l->editor, prompt, &n);
	*ret = (struct ph_str){ line, n };
	return line != NULL ? PH__LINES_LINE : l->why;
}

/* ---- the outside ----------------------------------------------------------------------------- */

enum ph_code
ph__lines_open(struct ph__lines *l, int fd, FILE *terminal, struct ph_error *err)
{
	bool person = terminal != NULL && isatty(fd) && isatty(fileno(terminal));

	*l = (struct ph__lines){ .fd = fd, .terminal = person ? terminal : NULL, .server = -1 };
	ph__buf_init(&l->in, &ph__libc_memory, PH__LINES_MAX + 2 * READ_MAX);
	l->in.secret = true;
	hold_signals(person);
	if (!person)
		return PH_OK;
	if ((l->module = ph__edit_module(err)) == NULL)
		return PH_ECONFIG;
	l->editor = l->module->open(fd, terminal, next_octet, l);
	return PH_OK;
}

void
ph__lines_close(struct ph__lines *l)
{
	if (l->editor != NULL)
		l->module->close(l->editor);
	ph__buf_done(&l->in);
	release_signals();
}

void
ph__lines_watch(struct ph__lines *l, int fd, bool tls)
{
	l->server = fd;
	l->server_events = (short)(POLLRDHUP | (tls ? 0 : POLLIN));
}

enum ph__lines_end
ph__lines_next(struct ph__lines *l, const char *prompt, bool secret, struct ph_str *ret)
{
	enum ph__lines_end got;

	if (secret) {
		got = secret_line(l, prompt, ret);
	} else if (l->editor != NULL) {
		got = edited_line(l, prompt, ret);
	} else {
		put_prompt(l, prompt);
		got = plain_line(l, ret);
	}
	if (got != PH__LINES_LINE && l->terminal != NULL)
		fputc('\n', l->terminal); /* behind the prompt, or what was begun there */
	return got;
}

void
ph__lines_remember(struct ph__lines *l, const char *line)
{
	if (l->editor != NULL)
		l->module->remember(l->editor, line);
}
