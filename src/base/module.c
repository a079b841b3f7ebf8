/* SPDX-License-Identifier: MIT */
/* Loading modules. See module.h.
 *
 * Nothing is kept here: the dynamic linker knows what it has loaded, counts references and locks; a
 * second dlopen() of the same path is a look-up by name. A module stays loaded to the end.
 *
 * The place is compiled in. $POSTHASTE_MODULES, for a build that is not installed, is not seen in a
 * process with raised privileges (secure_getenv). No other place is searched, the program's own
 * folder least of all: it may be /tmp or ~/Downloads.
 *
 * A module that is not of this build is refused before anything in it is called but what the linker
 * itself runs. A program without a dynamic linker cannot load any. */
#include "base/module.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "base/error.h"

/* Behind the class and cause that all failures here have, the text is what differs. */
#define CANNOT PH_ECONFIG, PH_STAGE_PREPARE, PH_CAUSE_MODULE

static const struct ph__module *
refuse_static(const struct ph__module_wanted *w, struct ph_error *err)
{
	ph__fail(err, CANNOT, "%s is in a module, and a statically linked program cannot load one",
	         w->what);
	ph__hint(err, "link with the shared library, or build posthaste with -Dmodules=builtin");
	return NULL;
}

static const struct ph__module *
missing(const struct ph__module_wanted *w, const char *path, struct ph_error *err)
{
	ph__fail(err, CANNOT, "there is no %s: %s is not available", path, w->what);
	ph__hint(err, "if posthaste was built without it: apt-get install %s, then build and install "
	         "anew; if it is not installed: set POSTHASTE_MODULES to the folder it was built in",
	         w->headers);
	return NULL;
}

static const struct ph__module *
not_loadable(const struct ph__module_wanted *w, struct ph_error *err)
{
	const char *why = dlerror();

	ph__fail(err, CANNOT, "%s is not available: %s", w->what,
	         why != NULL ? why : "no reason given");
	ph__hint(err, "its library is in the Debian package %s: apt-get install %s", w->library,
	         w->library);
	return NULL;
}

static const struct ph__module *
stale(const struct ph__module_wanted *w, const char *path, struct ph_error *err)
{
	ph__fail(err, CANNOT, "%s belongs to another build of posthaste than this program or its "
	         "library: %s is not available", path, w->what);
	ph__hint(err, "install program, library and modules together: make install");
	return NULL;
}

/* False: too long a path. */
static bool
path_of(char *path, size_t size, const char *name)
{
	const char *dir = secure_getenv("POSTHASTE_MODULES");
	int n;

	if (dir == NULL || *dir == '\0')
		dir = PH__MODULE_DIR;
	n = snprintf(path, size, "%s/posthaste-%s.so", dir, name);
	return n > 0 && (size_t)n < size;
}

const struct ph__module *
ph__module_load(const struct ph__module_wanted *w, struct ph_error *err)
{
	char path[PATH_MAX], symbol[64];
	const struct ph__module *m;
	void *handle;

	if (getauxval(AT_BASE) == 0)
		return refuse_static(w, err);
	if (!path_of(path, sizeof path, w->name)) {
		ph__fail(err, CANNOT, "the path in POSTHASTE_MODULES is too long");
		return NULL;
	}
	if (access(path, F_OK) != 0)
		return missing(w, path, err);
	if ((handle = dlopen(path, RTLD_NOW | RTLD_LOCAL)) == NULL)
		return not_loadable(w, err);
	snprintf(symbol, sizeof symbol, "ph__module_%s", w->name);
	m = dlsym(handle, symbol);
	if (m != NULL && strcmp(m->build_id, PH__BUILD_ID) == 0)
		return m;
	dlclose(handle);
	return stale(w, path, err);
}
