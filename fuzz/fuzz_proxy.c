/* SPDX-License-Identifier: MIT */
/* A tunnel to a proxy that says anything: in any cutting it ends as it does whole, takes not an
 * octet behind the proxy's last one, and its words are text. The first two octets choose the proxy's
 * kind and the cutting; the rest is the proxy's, which then closes. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/escape.h"
#include "base/mem.h"
#include "net/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	enum ph_io io;
	struct ph_error err;
	size_t left;         /* octets that the tunnel did not take */
};

static void
run(const struct ph__proxy *proxy, const uint8_t *data, size_t size, size_t step, struct seen *seen)
{
	struct ph__tunnel *t = NULL;
	size_t at = 0;
	int pair[2], waiting = 0, rc;

	memset(seen, 0, sizeof *seen);
	seen->err.size = sizeof seen->err;
	rc = socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	assert(rc == 0);
	if (ph__tunnel_new(&t, proxy, "mx.example.org", 25, 1000, &ph__libc_memory, NULL) != PH_OK)
		abort();
	ph__tunnel_begin(t, pair[0], 0);
	while ((seen->io = ph__tunnel_step(t, 0, &seen->err)) == PH_IO_AGAIN) {
		size_t n = step < size - at ? step : size - at;

		if (n == 0)
			shutdown(pair[1], SHUT_WR);
		else if (write(pair[1], data + at, n) != (ssize_t)n)
			abort();
		at += n;
	}
	ioctl(pair[0], FIONREAD, &waiting);
	seen->left = size - at + (size_t)waiting;
	ph__tunnel_free(&t);
	close(pair[0]);
	close(pair[1]);
}

static void
judge(const struct ph_error *err)
{
	struct ph_str s = ph__str(err->text);

	assert(err->code != PH_OK && err->stage == PH_STAGE_PROXY && s.len != 0);
	while (s.len != 0) {
		uint32_t cp = 0;
		size_t n = ph__utf8_next(s, &cp);

		assert(n != 0 && !ph__is_harmful(cp));
		s.ptr += n;
		s.len -= n;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ph__proxy proxy = { .host = "p", .port = 1080 };
	struct seen whole, cut;

	if (size < 2)
		return 0;
	proxy.http = data[0] & 1;
	if (data[0] & 2) {
		proxy.user = "u";
		proxy.password = "pw";
	}
	run(&proxy, data + 2, size - 2, size, &whole);
	run(&proxy, data + 2, size - 2, data[1] % 64 + 1, &cut);
	if (whole.io == PH_IO_ERROR)
		judge(&whole.err);
	else
		assert(whole.io == PH_IO_OK && whole.left < size - 2);
	assert(whole.io == cut.io && strcmp(whole.err.text, cut.err.text) == 0);
	assert(whole.err.code == cut.err.code && strcmp(whole.err.hint, cut.err.hint) == 0);
	assert(whole.io == PH_IO_ERROR || whole.left == cut.left);
	if (whole.io == PH_IO_OK && proxy.http)
		assert(data[size - whole.left - 1] == '\n');
	return 0;
}
