/* SPDX-License-Identifier: MIT */
/* Reading a password. See secret.h.
 *
 * Only the first line counts, as with msmtp and gpg: pass(1) keeps other things below it. Octets
 * are read one at a time, so that `--password-fd 0 --message -` finds the message just behind the
 * password, and no stdio buffer keeps a copy. A password file that others can read is warned about,
 * not refused: containers mount their secrets so. */
#include "cli/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/error.h"
#include "base/mem.h"
#include "cli/problem.h"
#include "cli/terminal.h"

#define SECRET_MAX 8192 /* tokens are long; what is longer is the wrong file */
#define REST_MAX   (1024 * 1024) /* of what a password command prints behind its first line */

extern char **environ;

void
ph__secret_shield(void)
{
	struct rlimit none = { 0, 0 };

	setrlimit(RLIMIT_CORE, &none);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static enum ph_code
too_long(const struct ph__buf *b, const char *what, struct ph_error *err)
{
	if (b->state == PH__BUF_NOMEM)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_LIMIT,
	                "the first line of %s is longer than %d octets: that is no secret", what,
	                SECRET_MAX);
}

static enum ph_code
read_first_line(int fd, const char *what, struct ph__buf *into, struct ph_error *err)
{
	char c = '\0';
	ssize_t n;

	do {
		n = read(fd, &c, 1);
		if (n == 1 && c != '\n' && (into->len == SECRET_MAX || !ph__buf_add_char(into, c)))
			return too_long(into, what, err);
	} while ((n == 1 && c != '\n') || (n < 0 && errno == EINTR));
	if (n < 0)
		return ph__fail_errno(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
		                      "cannot read %s", what);
	return PH_OK;
}

static enum ph_code
from_file(const struct ph__secret_source *from, struct ph__buf *into, struct ph_error *err)
{
	const char *path = from->file;
	struct stat st;
	enum ph_code rc;
	char what[256];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return ph__fail_errno(err, PH_ENOINPUT, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
		                      "cannot open the %s file %s", from->noun, path);
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IROTH) != 0)
		ph__warn(stderr, "the %s file %s can be read by everybody here; chmod o-r mends it",
		         from->noun, path);
	snprintf(what, sizeof what, "the %s file %s", from->noun, path);
	rc = read_first_line(fd, what, into, err);
	close(fd);
	return rc;
}

static enum ph_code
from_fd(int fd, struct ph__buf *into, struct ph_error *err)
{
	char what[64];

	snprintf(what, sizeof what, "descriptor %d (--password-fd)", fd);
	return read_first_line(fd, what, into, err);
}

/* Without our standard input, which may be the message, and with the usual SIGPIPE. */
static int
spawn_shell(const char *command, int out, pid_t *ret_pid)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)command, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t defaults;
	int rc;

	sigemptyset(&defaults);
	sigaddset(&defaults, SIGPIPE);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, out, 1);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigdefault(&attr, &defaults);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF);
	rc = posix_spawn(ret_pid, "/bin/sh", &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return rc;
}

/* The rest is read and forgotten: a command that met a closed pipe would seem to have failed. One
 * that never ends does meet it. */
static void
drain(int fd)
{
	char scrap[4096];
	size_t all = 0;
	ssize_t n;

	while (all < REST_MAX &&
	       ((n = read(fd, scrap, sizeof scrap)) > 0 || (n < 0 && errno == EINTR)))
		all += n > 0 ? (size_t)n : 0;
	ph__wipe(scrap, sizeof scrap);
}

static enum ph_code
from_command(const char *command, struct ph__buf *into, struct ph_error *err)
{
	int ends[2], status = 0, rc;
	enum ph_code code;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, errno,
		                      "cannot make a pipe for the password command");
	rc = spawn_shell(command, ends[1], &pid);
	close(ends[1]);
	if (rc != 0) {
		close(ends[0]);
		return ph__fail_errno(err, PH_ESYSTEM, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM, rc,
		                      "cannot start sh for the password command");
	}
	code = read_first_line(ends[0], "the password command's output", into, err);
	drain(ends[0]);
	close(ends[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (code != PH_OK || status == 0)
		return code;
	ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_SYSTEM,
	         "the password command failed (%s %d): %s",
	         WIFSIGNALED(status) ? "signal" : "exit status",
	         WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), command);
	ph__hint(err, "run it by hand; it must print the password on its first line and exit with 0");
	return PH_ECONFIG;
}

static enum ph_code
from_terminal(const struct ph__secret_source *from, struct ph__buf *into, struct ph_error *err)
{
	char question[512];
	enum ph_code rc;

	snprintf(question, sizeof question, "Password of %s at %s: ", from->user, from->server);
	rc = ph__terminal_ask_secret(question, into, err);
	if (rc == PH_ECONFIG)
		ph__hint(err, "give --password-file, --password-fd, --password-command or "
		              "--oauth-token-file, or leave out the user");
	return rc;
}

enum ph_code
ph__secret_read(const struct ph__secret_source *from, struct ph__buf *into, struct ph_error *err)
{
	enum ph_code rc;

	if (from->file != NULL)
		rc = from_file(from, into, err);
	else if (from->fd >= 0)
		rc = from_fd(from->fd, into, err);
	else if (from->command != NULL)
		rc = from_command(from->command, into, err);
	else
		rc = from_terminal(from, into, err);
	if (rc != PH_OK)
		return rc;
	if (into->len != 0 && into->p[into->len - 1] == '\r')
		into->p[--into->len] = '\0';
	if (into->len == 0 && from->file == NULL && from->fd < 0 && from->command == NULL)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "no password was entered");
	if (into->len == 0)
		return ph__fail(err, PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "the %s is empty: the first line of its source holds nothing", from->noun);
	if (memchr(into->p, '\0', into->len) != NULL)
		return ph__fail(err, PH_EINPUT, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "the %s holds a NUL, which no server can be told", from->noun);
	return PH_OK;
}
