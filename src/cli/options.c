/* SPDX-License-Identifier: MIT */
/* Options by table. See options.h.
 *
 * The environment is read first, then the command line: what stands there replaces a value of the
 * environment, a list as a whole, and silences options of the same group, and those its row names,
 * that came from the environment. Long options must be written out. getopt_long() would take `--ins` for `--insecure`:
 * a weakening must be a word the user typed, and a later option may not change what a script's
 * abbreviation means. */
#include "cli/options.h"

#include <assert.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/nearest.h"

#define ROWS_MAX    96
#define LONG_BASE   256 /* getopt values of long options lie above those of letters */
#define HELP_VALUE  (LONG_BASE + ROWS_MAX)
#define NAME_MAX_   64
#define TEXT_COLUMN 30
#define COLUMNS     80
#define DAYS_MAX    (7 * 24 * 3600ull)

enum origin { NOWHERE, ENVIRONMENT, COMMAND_LINE };

struct reading {
	const struct ph__options *def;
	char           *into;
	enum origin     origin[ROWS_MAX];
	enum ph_code    code; /* of the first fault */
	struct ph_error *err;
};

/* Where the story of a fault goes: the first one is told. */
static struct ph_error *
fault(struct reading *r)
{
	return r->code == PH_OK ? r->err : NULL;
}

static void
note(struct reading *r, enum ph_code code)
{
	if (r->code == PH_OK)
		r->code = code;
}

static enum ph_code
usage(struct ph_error *err, const char *label, const char *value, const char *what)
{
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT, "%s=%s: %s", label, value,
	                what);
}

/* ---- values ---------------------------------------------------------------------------------- */

static enum ph_code
set_flag(void *at, const char *label, const char *value, struct ph_error *err)
{
	static const struct { const char *word; bool on; } words[] = {
		{ "1", true }, { "yes", true }, { "true", true }, { "on", true },
		{ "0", false }, { "no", false }, { "false", false }, { "off", false },
	};

	if (value == NULL) {
		*(bool *)at = true;
		return PH_OK;
	}
	for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
		if (ph__cstr_eq_nocase(value, words[i].word)) {
			*(bool *)at = words[i].on;
			return PH_OK;
		}
	}
	return usage(err, label, value, "write 1 or 0");
}

static enum ph_code
set_count(unsigned *at, const char *label, const char *value, struct ph_error *err)
{
	uint64_t n;

	if (value == NULL) {
		(*at)++;
		return PH_OK;
	}
	if (!ph__str_to_uint(ph__str(value), 9, &n))
		return usage(err, label, value, "not a number from 0 to 9");
	*at = (unsigned)n;
	return PH_OK;
}

/* Mostly the "$FILE" of a script that never set it. */
static enum ph_code
set_text(const struct ph__option *o, const char **at, const char *label, const char *value,
         struct ph_error *err)
{
	if (*value == '\0' && !o->may_be_empty)
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "%s= is empty, and needs a value: --%s %s", label, o->name, o->argument);
	*at = value;
	return PH_OK;
}

static enum ph_code
add_item(struct ph__option_list *list, const char *value, struct ph_error *err)
{
	const char **items = ph__realloc(&ph__libc_memory, list->items,
	                                 (list->count + 1) * sizeof *items);

	if (items == NULL)
		return ph__fail_nomem(err, PH_STAGE_PREPARE);
	items[list->count++] = value;
	list->items = items;
	return PH_OK;
}

static enum ph_code
set_duration(uint64_t *at, const char *label, const char *value, struct ph_error *err)
{
	static const struct { const char *unit; uint64_t ms; } units[] = {
		{ "", 1000 }, { "s", 1000 }, { "ms", 1 }, { "m", 60 * 1000 }, { "h", 3600 * 1000 },
	};
	size_t digits = strspn(value, "0123456789");
	uint64_t n;

	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
		if (strcmp(value + digits, units[i].unit) != 0)
			continue;
		if (!ph__str_to_uint((struct ph_str){ value, digits }, DAYS_MAX * 1000 / units[i].ms, &n))
			break;
		if (n == 0)
			return usage(err, label, value, "must be more than nothing");
		*at = n * units[i].ms;
		return PH_OK;
	}
	return usage(err, label, value, "not a duration (a week at most); write 30, 30s or 2m");
}

static enum ph_code
set_number(const struct ph__option *o, struct ph__option_number *at, const char *label,
           const char *value, struct ph_error *err)
{
	uint64_t n;

	if (!ph__str_to_uint(ph__str(value), o->max, &n))
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "%s=%s: not a number from 0 to %llu", label, value,
		                (unsigned long long)o->max);
	*at = (struct ph__option_number){ true, n };
	return PH_OK;
}

static enum ph_code
set_signed(const struct ph__option *o, int *at, const char *label, const char *value,
           struct ph_error *err)
{
	bool minus = *value == '-';
	uint64_t n;

	if (!ph__str_to_uint(ph__str(value + (minus || *value == '+')), o->max, &n))
		return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                "%s=%s: not a number from -%llu to %llu", label, value,
		                (unsigned long long)o->max, (unsigned long long)o->max);
	*at = minus ? -(int)n : (int)n;
	return PH_OK;
}

static enum ph_code
set_choice(const struct ph__option *o, int *at, const char *label, const char *value,
           struct ph_error *err)
{
	char known[200] = "";
	size_t used = 0;

	for (const struct ph__option_choice *c = o->choices; c->name != NULL; c++) {
		const char *between = c == o->choices ? "" : c[1].name == NULL ? " or " : ", ";

		if (ph__cstr_eq_nocase(value, c->name)) {
			*at = c->value;
			return PH_OK;
		}
		if (used < sizeof known)
			used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", between, c->name);
	}
	return ph__fail(err, PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	                "%s=%s: no such choice; write %s", label, value, known);
}

static void
clear(const struct ph__option *o, void *at)
{
	static const struct ph__option_number none;

	switch (o->kind) {
	case PH__OPTION_HEADING:  break;
	case PH__OPTION_FLAG:     *(bool *)at = false; break;
	case PH__OPTION_COUNT:    *(unsigned *)at = 0; break;
	case PH__OPTION_TEXT:     *(const char **)at = NULL; break;
	case PH__OPTION_LIST:     ((struct ph__option_list *)at)->count = 0; break;
	case PH__OPTION_DURATION: *(uint64_t *)at = 0; break;
	case PH__OPTION_NUMBER:   *(struct ph__option_number *)at = none; break;
	case PH__OPTION_SIGNED:   *(int *)at = 0; break;
	case PH__OPTION_CHOICE:   *(int *)at = 0; break;
	}
}

static enum ph_code
store(const struct ph__option *o, void *at, const char *label, const char *value,
      struct ph_error *err)
{
	switch (o->kind) {
	case PH__OPTION_HEADING:  break;
	case PH__OPTION_FLAG:     return set_flag(at, label, value, err);
	case PH__OPTION_COUNT:    return set_count(at, label, value, err);
	case PH__OPTION_TEXT:     return set_text(o, at, label, value, err);
	case PH__OPTION_LIST:     return add_item(at, value, err);
	case PH__OPTION_DURATION: return set_duration(at, label, value, err);
	case PH__OPTION_NUMBER:   return set_number(o, at, label, value, err);
	case PH__OPTION_SIGNED:   return set_signed(o, at, label, value, err);
	case PH__OPTION_CHOICE:   return set_choice(o, at, label, value, err);
	}
	return PH_OK;
}

/* Of two options that exclude each other the command line's wins over the environment's; two of one
 * origin are a contradiction. */
static enum ph_code
settle_group(struct reading *r, size_t row, enum origin from, bool *ret_take)
{
	const struct ph__option *o = &r->def->rows[row];

	*ret_take = true;
	for (size_t i = 0; o->group != 0 && i < r->def->count; i++) {
		const struct ph__option *other = &r->def->rows[i];

		if (i == row || other->group != o->group || r->origin[i] == NOWHERE)
			continue;
		if (r->origin[i] == from) {
			*ret_take = false;
			return ph__fail(fault(r), PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
			                "--%s and --%s cannot be used together", other->name, o->name);
		}
		clear(other, r->into + other->at);
		r->origin[i] = NOWHERE;
	}
	return PH_OK;
}

static void
forget(struct reading *r, size_t row)
{
	clear(&r->def->rows[row], r->into + r->def->rows[row].at);
	r->origin[row] = NOWHERE;
}

static void
silence(struct reading *r, const char *const *names)
{
	for (; names != NULL && *names != NULL; names++)
		for (size_t i = 0; i < r->def->count; i++)
			if (r->origin[i] == ENVIRONMENT && strcmp(r->def->rows[i].name, *names) == 0)
				forget(r, i);
}

static void
set(struct reading *r, size_t row, enum origin from, const char *label, const char *value)
{
	const struct ph__option *o = &r->def->rows[row];
	void *at = r->into + o->at;
	bool take;

	note(r, settle_group(r, row, from, &take));
	if (!take)
		return;
	if (r->origin[row] == ENVIRONMENT)
		clear(o, at);
	r->origin[row] = from;
	if (from == COMMAND_LINE)
		silence(r, o->silences);
	note(r, store(o, at, label, value, fault(r)));
}

/* ---- environment ----------------------------------------------------------------------------- */

static void
environment_name(const struct ph__option *o, char *buf, size_t size)
{
	snprintf(buf, size, "POSTHASTE_%s", o->name);
	for (char *p = buf; *p != '\0'; p++)
		*p = *p == '-' ? '_' : ph__upper(*p);
}

const char *
ph__options_next_barred(const struct ph__options *def, size_t *row, char *buf, size_t size)
{
	for (; *row < def->count; ++*row) {
		const struct ph__option *o = &def->rows[*row];
		const char *value;

		if (o->kind == PH__OPTION_HEADING || !o->no_environment)
			continue;
		environment_name(o, buf, size);
		value = getenv(buf);
		if (value != NULL && *value != '\0')
			return buf;
	}
	return NULL;
}

static void
read_environment(struct reading *r)
{
	for (size_t i = 0; i < r->def->count; i++) {
		const struct ph__option *o = &r->def->rows[i];
		char name[NAME_MAX_];
		const char *value;

		if (o->kind == PH__OPTION_HEADING || o->no_environment)
			continue;
		environment_name(o, name, sizeof name);
		value = getenv(name);
		if (value != NULL && *value != '\0')
			set(r, i, ENVIRONMENT, name, value);
	}
}

/* ---- command line ---------------------------------------------------------------------------- */

struct getopt_tables {
	struct option longs[ROWS_MAX + 2];
	char letters[2 * ROWS_MAX + 8];
};

static bool
wants_value(const struct ph__option *o)
{
	return o->kind != PH__OPTION_FLAG && o->kind != PH__OPTION_COUNT;
}

static void
make_tables(const struct ph__options *def, struct getopt_tables *t)
{
	size_t n = 0, used = 0;

	t->letters[used++] = ':'; /* a missing value is told apart from an unknown option */
	for (size_t i = 0; i < def->count; i++) {
		const struct ph__option *o = &def->rows[i];

		if (o->kind == PH__OPTION_HEADING)
			continue;
		t->longs[n++] = (struct option){ o->name, wants_value(o) ? required_argument : no_argument,
		                                 NULL, LONG_BASE + (int)i };
		for (const char *c = o->letters; c != NULL && *c != '\0'; c++) {
			assert(used + 4 < sizeof t->letters);
			t->letters[used++] = *c;
			if (wants_value(o))
				t->letters[used++] = ':';
		}
	}
	t->longs[n++] = (struct option){ "help", no_argument, NULL, HELP_VALUE };
	t->longs[n] = (struct option){ 0 };
	t->letters[used] = '\0';
}

static size_t
row_of(const struct ph__options *def, int value)
{
	if (value >= LONG_BASE)
		return (size_t)(value - LONG_BASE);
	for (size_t i = 0; i < def->count; i++)
		if (def->rows[i].letters != NULL && strchr(def->rows[i].letters, value) != NULL)
			return i;
	return def->count;
}

/* The option word that getopt_long() has just taken, without dashes and value. */
static struct ph_str
long_word(char **argv, bool value_apart)
{
	const char *word = argv[optind - (value_apart ? 2 : 1)];

	word += strspn(word, "-");
	return (struct ph_str){ word, strcspn(word, "=") };
}

static const char *
find_foreign(const struct ph__options *def, const char *word)
{
	for (const struct ph__option_foreign *f = def->foreign; f != NULL && f->name != NULL; f++) {
		size_t n = strlen(f->name);

		if (strcmp(word, f->name) == 0 || (f->name[n - 1] == '-' && strncmp(word, f->name, n) == 0))
			return f->hint;
	}
	return NULL;
}

static void
refuse_unknown(struct reading *r, struct ph_str word)
{
	struct ph__nearest near = { 0 };
	char name[NAME_MAX_], best[200];
	const char *foreign;

	snprintf(name, sizeof name, "%.*s", (int)(word.len < NAME_MAX_ ? word.len : NAME_MAX_ - 1),
	         word.ptr);
	for (size_t i = 0; i < r->def->count; i++)
		if (r->def->rows[i].name != NULL)
			ph__nearest_offer(&near, name, r->def->rows[i].name);
	ph__nearest_text(&near, "--", best, sizeof best);
	note(r, ph__fail(fault(r), PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
	                 "--%s: there is no such option", name));
	if ((foreign = find_foreign(r->def, name)) != NULL)
		ph__hint(r->err, "%s", foreign);
	else if (near.count != 0)
		ph__hint(r->err, "did you mean %s?", best);
}

/* getopt_long() said '?' or ':'. */
static void
refuse(struct reading *r, char **argv, bool value_is_missing)
{
	const struct ph__option *o;
	size_t row = row_of(r->def, optopt);
	bool known = optopt != 0 && row < r->def->count;

	if (!known && optopt > 0 && optopt < LONG_BASE) {
		note(r, ph__fail(fault(r), PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                 "-%c: there is no such option", optopt));
		return;
	}
	if (!known) {
		refuse_unknown(r, long_word(argv, false));
		return;
	}
	o = &r->def->rows[row];
	if (value_is_missing)
		note(r, ph__fail(fault(r), PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                 "--%s needs a value: --%s %s", o->name, o->name, o->argument));
	else
		note(r, ph__fail(fault(r), PH_EUSAGE, PH_STAGE_PREPARE, PH_CAUSE_ARGUMENT,
		                 "--%s takes no value", o->name));
}

static void
take(struct reading *r, char **argv, int value, bool *ret_help)
{
	size_t row = row_of(r->def, value);
	const char *name = value == HELP_VALUE ? "help" : r->def->rows[row].name;
	char label[NAME_MAX_];

	if (value >= LONG_BASE) {
		bool apart = optarg != NULL && optarg == argv[optind - 1];
		struct ph_str word = long_word(argv, apart);

		if (!ph__str_eq(word, ph__str(name))) {
			refuse_unknown(r, word);
			return;
		}
	}
	if (value == HELP_VALUE) {
		*ret_help = true;
		return;
	}
	snprintf(label, sizeof label, "--%s", name);
	set(r, row, COMMAND_LINE, label, optarg);
}

enum ph_code
ph__options_read(const struct ph__options *def, int argc, char **argv, void *into,
                 int *ret_operands, bool *ret_help, struct ph_error *err)
{
	struct reading r = { .def = def, .into = into, .code = PH_OK, .err = err };
	struct getopt_tables tables;
	int value;

	assert(def->count <= ROWS_MAX);
	if (def->environment)
		read_environment(&r);
	make_tables(def, &tables);
	optind = 0; /* glibc: begin anew, whatever was parsed before */
	opterr = 0;
	while ((value = getopt_long(argc, argv, tables.letters, tables.longs, NULL)) != -1) {
		if (value == '?' || value == ':')
			refuse(&r, argv, value == ':');
		else
			take(&r, argv, value, ret_help);
	}
	*ret_operands = optind;
	if (r.code == PH_EUSAGE && err != NULL && err->hint[0] == '\0')
		ph__hint(err, "posthaste %s --help lists the options", def->command);
	return r.code;
}

void
ph__options_done(const struct ph__options *def, void *into)
{
	for (size_t i = 0; i < def->count; i++) {
		struct ph__option_list *list = (void *)((char *)into + def->rows[i].at);

		if (def->rows[i].kind != PH__OPTION_LIST)
			continue;
		ph__free(&ph__libc_memory, list->items);
		*list = (struct ph__option_list){ 0 };
	}
}

/* ---- help ------------------------------------------------------------------------------------ */

/* Prints words from `column` on, broken before COLUMNS; the cursor stands at `at`. */
static void
print_wrapped(FILE *to, const char *text, size_t at, size_t column)
{
	if (at != 0 && at >= column) {
		fputc('\n', to);
		at = 0;
	}
	fprintf(to, "%*s", (int)(column - at), "");
	at = column;
	while (*text != '\0') {
		size_t word = strcspn(text, " ");

		if (at > column && at + 1 + word >= COLUMNS) {
			fprintf(to, "\n%*s", (int)column, "");
			at = column;
		}
		at += (size_t)fprintf(to, "%s%.*s", at > column ? " " : "", (int)word, text);
		text += word;
		text += strspn(text, " ");
	}
	fputc('\n', to);
}

static void
print_row(FILE *to, const struct ph__option *o)
{
	size_t at = 0;
	const char *c = o->letters;

	at += (size_t)fprintf(to, "  ");
	for (; c != NULL && *c != '\0'; c++)
		at += (size_t)fprintf(to, "-%c, ", *c);
	if (o->letters == NULL)
		at += (size_t)fprintf(to, "    ");
	at += (size_t)fprintf(to, "--%s", o->name);
	if (o->argument != NULL)
		at += (size_t)fprintf(to, " %s", o->argument);
	print_wrapped(to, o->help, at, TEXT_COLUMN);
}

void
ph__options_help(const struct ph__options *def, FILE *to)
{
	fprintf(to, "Usage: posthaste %s %s\n", def->command, def->synopsis);
	print_wrapped(to, def->about, 0, 0);
	for (size_t i = 0; i < def->count; i++) {
		if (def->rows[i].kind == PH__OPTION_HEADING)
			fprintf(to, "\n%s:\n", def->rows[i].help);
		else
			print_row(to, &def->rows[i]);
	}
	if (def->more != NULL)
		fprintf(to, "\n%s\n", def->more);
}
