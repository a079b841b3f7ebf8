/* SPDX-License-Identifier: MIT */
/* The module "edit". See line_editor.h.
 *
 * libedit reads characters through our function, so whoever waits for the keyboard can wait for more
 * than that. Its own signal handling stays off: it would send a caught signal to the whole process
 * group. ~/.editrc is honoured (vi keys). */
#include "cli/line_editor.h"

#include <histedit.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/build.h"
#include "base/mem.h"

#define LINES_KEPT 500

struct ph__line_editor {
	EditLine *el;
	History *history;
	int (*next)(void *user);
	void *user;
	const char *prompt;
};

static char *
prompt(EditLine *el)
{
	struct ph__line_editor *e = NULL;

	el_get(el, EL_CLIENTDATA, &e);
	return (char *)(uintptr_t)e->prompt;
}

/* A character out of as many octets as it has. Octets that are none are passed over. */
static int
get_character(EditLine *el, wchar_t *c)
{
	struct ph__line_editor *e = NULL;
	mbstate_t state;
	int octet;

	el_get(el, EL_CLIENTDATA, &e);
	memset(&state, 0, sizeof state);
	while ((octet = e->next(e->user)) >= 0) {
		char one = (char)octet;
		size_t n = mbrtowc(c, &one, 1, &state);

		if (n == (size_t)-1)
			memset(&state, 0, sizeof state);
		else if (n != (size_t)-2)
			return 1;
	}
	return -1;
}

static void
close_editor(struct ph__line_editor *e)
{
	if (e == NULL)
		return;
	if (e->el != NULL)
		el_end(e->el);
	if (e->history != NULL)
		history_end(e->history);
	ph__free(&ph__libc_memory, e);
}

static struct ph__line_editor *
open_editor(int fd, FILE *out, int (*next)(void *user), void *user)
{
	struct ph__line_editor *e = ph__alloc0(&ph__libc_memory, sizeof *e);
	HistEvent ev;

	if (e == NULL)
		return NULL;
	e->next = next;
	e->user = user;
	e->prompt = "";
	if (setlocale(LC_CTYPE, "") == NULL || MB_CUR_MAX == 1)
		setlocale(LC_CTYPE, "C.UTF-8");
	e->el = el_init_fd("posthaste", stdin, out, stderr, fd, fileno(out), fileno(stderr));
	e->history = history_init();
	if (e->el == NULL || e->history == NULL) {
		close_editor(e);
		return NULL;
	}
	history(e->history, &ev, H_SETSIZE, LINES_KEPT);
	history(e->history, &ev, H_SETUNIQUE, 1);
	el_set(e->el, EL_CLIENTDATA, e);
	el_set(e->el, EL_PROMPT, prompt);
	el_set(e->el, EL_EDITOR, "emacs");
	el_set(e->el, EL_SIGNAL, 0);
	el_set(e->el, EL_HIST, history, e->history);
	el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
	el_set(e->el, EL_GETCFN, get_character);
	el_source(e->el, NULL);
	return e;
}

static const char *
read_line(struct ph__line_editor *e, const char *text, size_t *len)
{
	const char *line;
	int n = 0;

	e->prompt = text;
	el_resize(e->el);
	el_set(e->el, EL_PREP_TERM, 1); /* before the prompt: what is typed on seeing it is to be edited */
	line = el_gets(e->el, &n);
	if (line == NULL || n <= 0)
		return NULL;
	*len = (size_t)n - (line[n - 1] == '\n');
	return line;
}

static void
remember(struct ph__line_editor *e, const char *line)
{
	HistEvent ev;

	history(e->history, &ev, H_ENTER, line);
}

const struct ph__edit_module ph__module_edit = {
	.build_id = PH__BUILD_ID,
	.open = open_editor,
	.read = read_line,
	.remember = remember,
	.close = close_editor,
};
