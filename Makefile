# SPDX-License-Identifier: MIT
# The short way to everything. Meson does the work; this file installs what is missing, keeps two
# builds, and knows what belongs to a test run.
#
#   build/            release: build/posthaste, build/libposthaste.so
#   build/sanitized/  the same and the tests, under AddressSanitizer and UBSan

RELEASE   = build
SANITIZED = build/sanitized
FUZZED    = build/fuzz
SECONDS   = 30
SOURCES   = include src bindings tests fuzz bench examples tools man

build: packages-build $(RELEASE)/build.ninja
	ninja -C $(RELEASE)

demo: build
	tools/demo.sh $(RELEASE)/posthaste

test: packages-test $(RELEASE)/build.ninja $(SANITIZED)/build.ninja
	ninja -C $(RELEASE)
	ninja -C $(SANITIZED)
	tools/run-tests --release $(RELEASE) --sanitized $(SANITIZED)

# PREFIX (/usr/local) and DESTDIR are honoured.
install: build
	$(if $(PREFIX),meson configure $(RELEASE) -Dprefix=$(PREFIX))
	meson install -C $(RELEASE)
	$(if $(DESTDIR),,ldconfig)

bench: packages-bench build
	tools/bench.sh $(RELEASE)

lint: packages-lint $(RELEASE)/build.ninja
	ninja -C $(RELEASE)
	tools/check-includes
	tools/check-symbols $(RELEASE)
	tools/check-headers
	tools/check-docs $(RELEASE)/posthaste
	POSTHASTE_LIBRARY=$(abspath $(RELEASE))/libposthaste.so.0 tests/python/types.sh
	! grep -rnIE '[[:blank:]]+$$' $(SOURCES)
	! grep -rL --include='*.[ch]' SPDX-License-Identifier $(SOURCES) | grep .

# make fuzz SECONDS=600: each target that long.
fuzz: packages-fuzz $(FUZZED)/build.ninja
	ninja -C $(FUZZED)
	tools/fuzz.sh $(FUZZED) $(SECONDS)

# The manual as HTML.
docs: packages-docs
	tools/docs.sh $(RELEASE)/docs

clean:
	rm -rf $(RELEASE)

packages-%:
	@tools/install-packages.sh $*

$(RELEASE)/build.ninja:
	meson setup $(RELEASE) -Dtests=false

$(SANITIZED)/build.ninja: $(RELEASE)/build.ninja
	meson setup $(SANITIZED) -Dbuildtype=debugoptimized -Db_sanitize=address,undefined \
		-Dmodules=builtin

$(FUZZED)/build.ninja: $(RELEASE)/build.ninja
	CC=clang meson setup $(FUZZED) -Dbuildtype=debugoptimized -Db_sanitize=address,undefined \
		-Db_lundef=false -Dmodules=builtin -Dtests=false -Dfuzz=true

.PHONY: build demo test install bench lint fuzz docs clean
.NOTPARALLEL:
