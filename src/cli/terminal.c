/* SPDX-License-Identifier: MIT */
/* The terminal. See terminal.h.
 *
 * While the echo is off, the signals that would end us are only noted: their usual effect comes
 * after the echo is back, so that a shell is never left mute. Stopping (SIGTSTP) is ignored for
 * that while for the same reason. */
#include "cli/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
#include "base/error.h"
#include "base/escape.h"
#include "base/mem.h"

bool
ph__terminal_has_colour(FILE *to)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return (no == NULL || *no == '\0') && isatty(fileno(to))
	    && term != NULL && strcmp(term, "dumb") != 0;
}

void
ph__terminal_put(FILE *to, struct ph_str text, int indent)
{
	struct ph__buf safe; /* the whole first: its octets together tell their character set */
	size_t at = 0;

	ph__buf_init(&safe, &ph__libc_memory, 4 * text.len + 1);
	ph__escape(&safe, text, true);
	while (at < safe.len) {
		const char *lf = memchr(safe.p + at, '\n', safe.len - at);
		size_t end = lf != NULL ? (size_t)(lf - safe.p) : safe.len;

		fwrite(safe.p + at, 1, end - at, to);
		at = end + (lf != NULL);
		if (at < safe.len)
			fprintf(to, "\n%*s", indent, "");
	}
	ph__buf_done(&safe);
}

static const int held[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP };
#define HELD (sizeof held / sizeof held[0])

static volatile sig_atomic_t caught;

static void
on_signal(int sig)
{
	caught = sig;
}

/* Blocked but for the wait itself: one that came just before it would not end it. */
static void
hold_signals(struct sigaction old[HELD], sigset_t *open)
{
	sigset_t block;

	caught = 0;
	sigemptyset(&block);
	for (size_t i = 0; i < HELD; i++)
		sigaddset(&block, held[i]);
	sigprocmask(SIG_BLOCK, &block, open);
	for (size_t i = 0; i < HELD; i++) {
		struct sigaction sa = { .sa_handler = held[i] == SIGTSTP ? SIG_IGN : on_signal };

		sigemptyset(&sa.sa_mask);
		sigaction(held[i], &sa, &old[i]);
		if (old[i].sa_handler == SIG_IGN) /* nohup stays in force */
			sigaction(held[i], &old[i], NULL);
	}
}

static void
release_signals(const struct sigaction old[HELD], const sigset_t *open)
{
	sigprocmask(SIG_SETMASK, open, NULL); /* what is pending is noted, too */
	for (size_t i = 0; i < HELD; i++)
		sigaction(held[i], &old[i], NULL);
	if (caught != 0)
		raise(caught);
}

/* True at the end of a line or of input; *ret_whole: of a line, so that the cursor stands on a new
 * one. */
static bool
read_line(int fd, const sigset_t *open, struct ph__buf *into, bool *ret_whole)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c = '\0';
	ssize_t n = -1;

	while (ppoll(&p, 1, NULL, open) == 1 && (n = read(fd, &c, 1)) == 1 && c != '\n' &&
	       ph__buf_add_char(into, c))
		n = -1;
	*ret_whole = n == 1 && c == '\n';
	return n == 0 || *ret_whole;
}

static enum ph_code
ask(const char *question, bool echo, struct ph__buf *into, struct ph_error *err)
{
	int fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct termios before, silent;
	struct sigaction old[HELD];
	sigset_t open_signals;
	FILE *tty;
	bool ok, whole;

	if (fd < 0 || tcgetattr(fd, &before) != 0 || (tty = fdopen(fd, "r+")) == NULL) {
		if (fd >= 0)
			close(fd);
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "there is no terminal to ask on");
	}
	silent = before;
	if (!echo)
		silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
	silent.c_lflag |= ICANON | ECHONL;
	hold_signals(old, &open_signals);
	tcsetattr(fd, TCSAFLUSH, &silent);
	ph__terminal_put(tty, ph__str(question), 0);
	fflush(tty);
	ok = read_line(fd, &open_signals, into, &whole);
	tcsetattr(fd, TCSAFLUSH, &before);
	if (!whole)
		fputs("\n", tty);
	fclose(tty);
	release_signals(old, &open_signals);
	if (!ok)
		return ph__fail(err, PH_ECANCELLED, PH_STAGE_PREPARE, PH_CAUSE_CANCELLED,
		                "the question was not answered");
	return PH_OK;
}

enum ph_code
ph__terminal_ask(const char *question, struct ph__buf *into, struct ph_error *err)
{
	return ask(question, true, into, err);
}

enum ph_code
ph__terminal_ask_secret(const char *question, struct ph__buf *into, struct ph_error *err)
{
	enum ph_code rc = ask(question, false, into, err);

	if (rc == PH_ECONFIG)
		return ph__fail(err, rc, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "there is no password and no terminal to ask for it");
	if (rc == PH_ECANCELLED)
		return ph__fail(err, rc, PH_STAGE_PREPARE, PH_CAUSE_CANCELLED,
		                "the password was not entered");
	return rc;
}
