/* SPDX-License-Identifier: MIT */
/* cli/probe_message.h: what swaks' options make of a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/probe_message.h"

#define LIST(...) { (const char *[]){ __VA_ARGS__ }, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *) }

static struct ph__buf got;
static struct ph_error err;
static char path[] = "/tmp/posthaste-probe-XXXXXX";

static int
setup(void **state)
{
	int fd = mkstemp(path);
	ssize_t n = fd >= 0 ? write(fd, "a\\nb\nc", 6) : -1;

	(void)state;
	close(fd);
	return n == 6 ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	ph__buf_done(&got);
	return unlink(path);
}

static enum ph_code
make(struct ph__probe_message m)
{
	if (m.from == NULL)
		m.from = "ann@a.example";
	if (m.to == NULL)
		m.to = "bob@b.example,carol@c.example";
	m.date = "DATE";
	m.id = "ID@host";
	m.boundary = "=_b";
	err = (struct ph_error)PH_ERROR_INIT;
	ph__buf_done(&got);
	return ph__probe_message_make(&m, &got, &err);
}

static void
becomes(struct ph__probe_message m, const char *want)
{
	if (make(m) != PH_OK)
		fail_msg("%s", err.text);
	assert_string_equal(ph__buf_cstr(&got), want);
}

#define BEGIN "Date: DATE\r\nTo: bob@b.example,carol@c.example\r\nFrom: ann@a.example\r\n"
#define END   "Message-Id: <ID@host>\r\nX-Mailer: posthaste\r\n"

static void
the_template_is_filled(void **state)
{
	(void)state;
	becomes((struct ph__probe_message){ .body = NULL },
	        BEGIN "Subject: test DATE\r\n" END "\r\nThis is a test mailing\r\n");
	becomes((struct ph__probe_message){ .body = "x", .cc = "d@d" },
	        "Date: DATE\r\nTo: bob@b.example,carol@c.example\r\nCc: d@d\r\nFrom: ann@a.example\r\n"
	        "Subject: test DATE\r\n" END "\r\nx\r\n");
	becomes((struct ph__probe_message){ .from = "", .body = "%FROM_ADDRESS%|%MESSAGEID%|%NEWLINE%z" },
	        "Date: DATE\r\nTo: bob@b.example,carol@c.example\r\nFrom: \r\nSubject: test DATE\r\n" END
	        "\r\n|ID@host|\r\nz\r\n");
}

static void
fields_take_the_place_of_their_namesakes(void **state)
{
	(void)state;
	becomes((struct ph__probe_message){ .body = "x", .headers = LIST("subject: mine", "X-New: 1") },
	        BEGIN "subject: mine\r\n" END "X-New: 1\r\n\r\nx\r\n");
	becomes((struct ph__probe_message){ .body = "x", .new_headers = LIST("A: 1\\nB: 2"),
	                                    .headers = LIST("C: 3\\nSubject: s") },
	        BEGIN "Subject: s\r\n" END "A: 1\r\nB: 2\r\nC: 3\r\n\r\nx\r\n");
	becomes((struct ph__probe_message){ .data = "Subject: a\\n b\\nX: y\\n\\ntext\\n",
	                                    .headers = LIST("Subject: c") },
	        "Subject: c\r\nX: y\r\n\r\ntext\r\n");
}

static void
data_is_all_of_it(void **state)
{
	(void)state;
	becomes((struct ph__probe_message){ .data = "To: %TO_ADDRESS%\\n\\n%BODY%\\n", .body = "hello" },
	        "To: bob@b.example,carol@c.example\r\n\r\nhello\r\n");
	becomes((struct ph__probe_message){ .data = "A: b\\n%NEW_HEADERS%\\nx", .new_headers = LIST("N: 1") },
	        "A: b\r\nN: 1\r\n\r\nx");
	becomes((struct ph__probe_message){ .data = "A: b\\n\\nx", .new_headers = LIST("N: 1") },
	        "A: b\r\nN: 1\r\n\r\nx");
	becomes((struct ph__probe_message){ .data = "From ann Mon\\nA: b\\n\\nx\\n.\\n" }, "A: b\r\n\r\nx\r\n");
	becomes((struct ph__probe_message){ .data = "From ann Mon\\nA: b\\n\\nx\\n", .no_strip_from = true },
	        "From ann Mon\r\nA: b\r\n\r\nx\r\n");
	becomes((struct ph__probe_message){ .data = "%DATE%\\n.", .no_fixup = true }, "%DATE%\r\n.");
}

/* "\n" in an argument is a line end; in a file it is what it is. */
static void
an_argument_may_name_a_file(void **state)
{
	char at[sizeof path + 1];

	(void)state;
	snprintf(at, sizeof at, "@%s", path);
	becomes((struct ph__probe_message){ .body = at, .data = "A: b\\n\\n%BODY%" }, "A: b\r\n\r\na\\nb\nc");
	becomes((struct ph__probe_message){ .body = path, .data = "A: b\\n\\n%BODY%" }, "A: b\r\n\r\na\\nb\nc");
	becomes((struct ph__probe_message){ .body = "@@x\\ny", .data = "A: b\\n\\n%BODY%" }, "A: b\r\n\r\n@x\r\ny");
	becomes((struct ph__probe_message){ .data = at }, "a\\nb\r\nc\r\n");
	assert_int_equal(make((struct ph__probe_message){ .body = "@/nonexistent/x" }), PH_ENOINPUT);
	assert_int_equal(make((struct ph__probe_message){ .data = "/nonexistent/x" }), PH_ENOINPUT);
}

#define MIME(type) "MIME-Version: 1.0\r\nContent-Type: " type "; boundary=\"=_b\"\r\n\r\n"
#define TEXT "--=_b\r\nContent-Type: text/plain\r\n\r\nx\r\n"

static void
attachments_make_it_mime(void **state)
{
	char at[sizeof path + 2];

	(void)state;
	snprintf(at, sizeof at, "a@%s", path);
	becomes((struct ph__probe_message){ .body = "x", .parts = LIST("afoo") },
	        BEGIN "Subject: test DATE\r\n" END MIME("multipart/mixed") TEXT
	        "--=_b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment\r\n"
	        "Content-Transfer-Encoding: base64\r\n\r\nZm9v\r\n\r\n--=_b--\r\n");
	becomes((struct ph__probe_message){ .body = "x", .data = "%BODY%\\n",
	                                    .parts = LIST("ttext/x", "nn\"1", "afoo", "abar") },
	        TEXT "--=_b\r\nContent-Type: text/x; name=\"n\\\"1\"\r\nContent-Description: n\"1\r\n"
	        "Content-Disposition: attachment; filename=\"n\\\"1\"\r\n"
	        "Content-Transfer-Encoding: base64\r\n\r\nZm9v\r\n\r\n"
	        "--=_b\r\nContent-Type: text/x\r\nContent-Disposition: attachment\r\n"
	        "Content-Transfer-Encoding: base64\r\n\r\nYmFy\r\n\r\n--=_b--\r\n\r\n");
	assert_int_equal(make((struct ph__probe_message){ .parts = LIST(at) }), PH_OK);
	assert_non_null(strstr(ph__buf_cstr(&got), strrchr(path, '/') + 1));
	assert_int_equal(make((struct ph__probe_message){ .parts = LIST("bone", "ttext/html", "btwo") }), PH_OK);
	assert_non_null(strstr(ph__buf_cstr(&got), "multipart/alternative; boundary=\"=_b\""));
	assert_int_equal(make((struct ph__probe_message){ .parts = LIST("bone", "btwo", "ax") }), PH_OK);
	assert_non_null(strstr(ph__buf_cstr(&got), "multipart/alternative; boundary=\"=_b_text\""));
	assert_non_null(strstr(ph__buf_cstr(&got), "--=_b_text--\r\n--=_b\r\n"));
}

static void
nothing_makes_another_line_of_a_field(void **state)
{
	(void)state;
	assert_int_equal(make((struct ph__probe_message){ .headers = LIST("Subject: a\nBcc: b") }), PH_EINPUT);
	assert_int_equal(make((struct ph__probe_message){ .new_headers = LIST("A: b\r") }), PH_EINPUT);
	assert_int_equal(make((struct ph__probe_message){ .from = "a@b\nX: y" }), PH_EINPUT);
	assert_int_equal(make((struct ph__probe_message){ .to = "a@b\nX: y" }), PH_EINPUT);
	assert_int_equal(make((struct ph__probe_message){ .cc = "a@b\nX: y" }), PH_EINPUT);
	assert_int_equal(make((struct ph__probe_message){ .parts = LIST("tx\ny", "aa") }), PH_EINPUT);
	assert_int_equal(make((struct ph__probe_message){ .parts = LIST("nx\ny", "aa") }), PH_EINPUT);
	assert_int_equal(make((struct ph__probe_message){ .headers = LIST("A: tab\tstays") }), PH_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_template_is_filled),
		cmocka_unit_test(fields_take_the_place_of_their_namesakes),
		cmocka_unit_test(data_is_all_of_it),
		cmocka_unit_test(an_argument_may_name_a_file),
		cmocka_unit_test(attachments_make_it_mime),
		cmocka_unit_test(nothing_makes_another_line_of_a_field),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
