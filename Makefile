# SPDX-License-Identifier: Apache-2.0
# One Makefile for everything. What is built lands in build/: the programs of the default variant
# in build/ itself, everything else in build/VARIANT/ (release, asan, fuzz, debug); code generated
# from proto/ in build/gen/. Sources are found by folder: a new file needs no line here.

VARIANT ?= release
PREFIX  ?= /usr/local
DESTDIR ?=
CC      ?= gcc
WERROR  ?=

VERSION := 0.1.0

O   := build/$(VARIANT)
GEN := build/gen
BIN := $(if $(filter release,$(VARIANT)),build,$(O))

WARN := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith \
	-Wwrite-strings -Wno-missing-field-initializers $(if $(WERROR),-Werror)
HARDEN := -fstack-protector-strong
CPPFLAGS_ALL := -D_GNU_SOURCE -I. -I$(GEN) -DCLEAT_VERSION='"$(VERSION)"'
CFLAGS_ALL := -std=gnu11 -fno-common -g -MMD -MP -ffunction-sections -fdata-sections $(HARDEN)
LDFLAGS_ALL := -Wl,-z,relro -Wl,-z,now -Wl,--gc-sections

ifeq ($(VARIANT),asan)
# Sanitizers want a dynamic, unfortified program; frames stay readable in their reports.
CC := clang
CFLAGS_ALL += -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
LDFLAGS_ALL += -fsanitize=address,undefined
SHIM_LINK := -pie
CFLAGS_ALL += -fPIE
else ifeq ($(VARIANT),fuzz)
CC := clang
CFLAGS_ALL += -O1 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer -fPIE
LDFLAGS_ALL += -fsanitize=address,undefined
SHIM_LINK := -pie
else ifeq ($(VARIANT),debug)
# For valgrind, which wants a dynamic program: it replaces malloc in libc.so only.
CFLAGS_ALL += -O1 -fPIE -D_FORTIFY_SOURCE=2 -DCLEAT_UNDER_VALGRIND
SHIM_LINK := -pie
else
CFLAGS_ALL += -O2 -fPIE -D_FORTIFY_SOURCE=2
# Static, and not PIE: measured with 30 idle shims, a static PIE keeps 56 kB of relocated
# read-only data private to each process (188 against 132 kB of USS).
SHIM_LINK := -static -no-pie -Wl,--no-warnings
endif

DYN_LINK := -pie

# cleat: libc alone is shared (its getpwuid_r wants that): a command begins 0.3 ms sooner.
CLI_LIBS = -Wl,-Bstatic $(LIBS) -Wl,-Bdynamic

PROTOS    := $(shell find proto -name '*.proto' | sort)
PB_SRC    := $(patsubst proto/%.proto,$(GEN)/%.pb-c.c,$(PROTOS))
PB_OBJ    := $(patsubst $(GEN)/%.c,$(O)/gen/%.o,$(PB_SRC))
COMMON    := $(wildcard common/*.c)
SHIM      := $(filter-out shim/main.c,$(wildcard shim/*.c))
CLI       := $(filter-out supervisor/cli/main.c,$(wildcard supervisor/cli/*.c))
SUPERVISOR := $(filter-out supervisor/main.c,$(wildcard supervisor/*.c))
obj        = $(patsubst %.c,$(O)/%.o,$(1))

LIBS := -levent_core -lprotobuf-c -ljansson
# what tells systemd how cleatd is; of the tests those have it that use it
SYSTEMD_LIBS := -Wl,--as-needed -lsystemd -Wl,--no-as-needed

# containerd looks for a runtime by name: io.containerd.cleat.v2, and io.containerd.runc.cleat, to which its
# clients send runc's options
DROP_INS := containerd-shim-cleat-v2 containerd-shim-runc-cleat
CLEATD   := $(BIN)/cleatd
PROGRAMS := $(BIN)/cleat $(BIN)/cleat-shim $(CLEATD) $(addprefix $(BIN)/,$(DROP_INS))
UNITS    := cleatd.service cleatd.socket cleat-containers.service cleat@.service

LIBRARY  := $(BIN)/libcleat.a $(BIN)/libcleat.so.$(VERSION)
MAN      := $(patsubst %.scd,$(BIN)/man/%,$(notdir $(wildcard common/man/*.scd supervisor/man/*.scd)))

.PHONY: all
all: $(PROGRAMS) $(LIBRARY) $(MAN)

# --- generated code: its own flags, no warnings of ours ---
$(GEN)/%.pb-c.c $(GEN)/%.pb-c.h &: proto/%.proto
	@mkdir -p $(GEN)
	protoc-c --proto_path=proto --c_out=$(GEN) $<
.PRECIOUS: $(GEN)/%.pb-c.c $(GEN)/%.pb-c.h

$(O)/gen/%.o: $(GEN)/%.pb-c.c | $(PB_SRC)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -w -c -o $@ $<

$(O)/gen/%.pb-c.o: $(GEN)/%.pb-c.c | $(PB_SRC)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) -w -c -o $@ $<

# --- our code ---
$(O)/%.o: %.c Makefile | $(PB_SRC)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CPPFLAGS) $(CFLAGS_ALL) $(WARN) $(CFLAGS) -c -o $@ $<

define archive
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $(filter %.o,$^)
endef

$(O)/libproto.a: $(PB_OBJ)
	$(archive)
$(O)/libcommon.a: $(call obj,$(COMMON))
	$(archive)
$(O)/libshim.a: $(call obj,$(SHIM))
	$(archive)
$(O)/libcli.a: $(call obj,$(CLI))
	$(archive)
$(O)/libsupervisor.a: $(call obj,$(SUPERVISOR))
	$(archive)

$(BIN)/cleat-shim: $(O)/shim/main.o $(O)/libshim.a $(O)/libcommon.a $(O)/libproto.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $(SHIM_LINK) $(LDFLAGS) -o $@ $^ $(LIBS)

$(addprefix $(BIN)/,$(DROP_INS)): $(BIN)/cleat-shim
	ln -sf cleat-shim $@

# of libsupervisor.a it takes the reader of cleatd.json, for `cleat doctor`
$(BIN)/cleat: $(O)/supervisor/cli/main.o $(O)/libcli.a $(O)/libsupervisor.a $(O)/libcommon.a $(O)/libproto.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $(DYN_LINK) $(LDFLAGS) -o $@ $^ $(CLI_LIBS)

$(BIN)/cleatd: $(O)/supervisor/main.o $(O)/libsupervisor.a $(O)/libcommon.a $(O)/libproto.a
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS_ALL) $(DYN_LINK) $(LDFLAGS) -o $@ $^ $(CLI_LIBS) $(SYSTEMD_LIBS)

# --- libcleat: position-independent, and nothing of it is seen from outside but what cleat.h declares ---
# Without sanitizers in any variant, as it is for programs that have none; its functions are tested with
# them from libcommon.a.
PIC      := $(patsubst %.c,$(O)/pic/%.o,$(COMMON)) $(patsubst $(GEN)/%.c,$(O)/pic/gen/%.o,$(PB_SRC))
PIC_API  := $(addprefix $(O)/pic/common/client,.o _events.o _io.o _process.o _task.o)
NO_SAN    = $(filter-out -fsanitize=% -fno-sanitize-recover=%,$(1))
PIC_FLAGS = $(filter-out -fPIE,$(call NO_SAN,$(CFLAGS_ALL))) -fPIC -fvisibility=hidden

$(O)/pic/gen/%.o: $(GEN)/%.c | $(PB_SRC)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(PIC_FLAGS) -w -c -o $@ $<
$(O)/pic/%.o: %.c Makefile | $(PB_SRC)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CPPFLAGS) $(PIC_FLAGS) $(WARN) $(CFLAGS) -c -o $@ $<
$(O)/pic/internal.a: $(PIC)
	$(archive)

# One object of what is needed, in which the rest of our names mean nothing to who links it.
$(O)/libcleat.o: $(PIC_API) $(O)/pic/internal.a
	$(CC) -r -nostdlib -o $@ $^
	objcopy --localize-hidden $@
$(BIN)/libcleat.a: $(O)/libcleat.o
	$(archive)
$(BIN)/libcleat.so.$(VERSION): $(O)/libcleat.o common/cleat.map
	$(CC) -shared $(call NO_SAN,$(LDFLAGS_ALL)) -Wl,-z,defs -Wl,-soname,libcleat.so.0 \
		-Wl,--version-script=common/cleat.map $(LDFLAGS) -o $@ $< $(LIBS) -lpthread

# --- the manual: section 3 beside the library, the others beside the programs that most of it is about ---
define page
	@mkdir -p $(@D)
	scdoc <$< >$@
endef

$(BIN)/man/%: common/man/%.scd
	$(page)
$(BIN)/man/%: supervisor/man/%.scd
	$(page)

# --- tests ---
UNIT := $(patsubst test/unit/%.c,$(O)/test/unit/%,$(wildcard test/unit/test_*.c))
.PRECIOUS: $(O)/test/unit/%.o

$(O)/test/unit/%: $(O)/test/unit/%.o $(O)/libcli.a $(O)/libsupervisor.a $(O)/libshim.a \
		$(O)/libcommon.a $(O)/libproto.a
	$(CC) $(LDFLAGS_ALL) -pie $(LDFLAGS) -o $@ $^ $(LIBS) $(SYSTEMD_LIBS) -lcmocka

.PHONY: unit-build
unit-build: $(UNIT)

# test/integration/test_*.c: a real shim driven through the client library; bed*.c are under all of them
INTEGRATION := $(patsubst test/integration/%.c,$(O)/test/integration/%,$(wildcard test/integration/test_*.c))
.PRECIOUS: $(O)/test/integration/%.o

BED := $(call obj,$(wildcard test/integration/bed*.c))
$(O)/test/integration/%: $(O)/test/integration/%.o $(BED) $(O)/libshim.a \
		$(O)/libcommon.a $(O)/libproto.a
	$(CC) $(LDFLAGS_ALL) -pie $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS) -lcmocka

$(filter $(O)/test/integration/test_races%,$(INTEGRATION)): $(O)/test/integration/races.o

.PHONY: integration-build
integration-build: $(INTEGRATION)

# test/conformance: one table of answers, held against our shim and containerd's own (SHIM=reference)
CONFORM := $(call obj,$(wildcard test/conformance/*.c))
$(O)/test/conformance/conform: $(CONFORM) $(O)/libshim.a $(O)/libcommon.a $(O)/libproto.a
	$(CC) $(LDFLAGS_ALL) -pie $(LDFLAGS) -o $@ $^ $(LIBS)

.PHONY: conformance
conformance: all $(O)/test/conformance/conform
	VARIANT=$(VARIANT) test/conformance/run

# --- what people call: demo, check and its stricter kin (SUITES=... picks, STRICT=1 refuses skips) ---
# valgrind follows the children of a test only into our own programs: a runtime's are not ours.
SUITES   ?=
VALGRIND := valgrind -q --log-file=\$$TEST_REPORTS.%p --error-exitcode=99 --leak-check=full \
	--show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect --num-callers=30

.PHONY: demo check check-build asan-check valgrind-check soak bench
demo: all
	scripts/run-demo

check-build: all unit-build integration-build test-tools $(O)/test/soak/crowd/crowd
check: check-build
	VARIANT=$(VARIANT) STRICT=$(STRICT) test/run $(SUITES)

# Sanitizers slow us, and say something about our own programs only: suites about other things stay out.
asan-check:
	$(MAKE) VARIANT=asan check-build
	VARIANT=asan STRICT=$(STRICT) TEST_SLOWER=3 ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 \
		UBSAN_OPTIONS=print_stacktrace=1 test/run $(or $(SUITES),unit integration)

valgrind-check: all
	$(MAKE) VARIANT=debug all unit-build test-tools
	VARIANT=debug STRICT=$(STRICT) TEST_SLOWER=10 TEST_WRAP="$(VALGRIND)" test/run $(or $(SUITES),unit valgrind)

# The suites of test/system/suites in a virtual machine (SYSTEM_SHORT=1: the short form; SUITES=... picks).
.PHONY: check-system
check-system: check-build
	test/system/run $(SUITES)

# Under a real containerd, beside its own shim (CONTAINERD_SHORT=1: the short form; SUITES=killed picks).
.PHONY: check-containerd
check-containerd: all test-tools
	VARIANT=$(VARIANT) STRICT=$(STRICT) test/containerd/run $(SUITES)

# The integration suites over each real runtime; RUNTIME=crun make check SUITES=integration: over one.
RUNTIMES ?= runc crun runsc
.PHONY: check-runtimes
check-runtimes: check-build
	@status=0; for r in $(RUNTIMES); do echo "== $$r"; \
		RUNTIME=$$r VARIANT=$(VARIANT) test/run $(or $(SUITES),integration) || status=1; done; \
		exit $$status

# The integration suites in the other ways of use: cleat through cleatd, and by each shim's own socket.
WAYS ?= cleatd shim
.PHONY: check-ways
check-ways: check-build
	@status=0; for w in $(WAYS); do echo "== $$w"; \
		WAY=$$w VARIANT=$(VARIANT) test/run $(or $(SUITES),integration) || status=1; done; \
		exit $$status

# Those that have something to say there as an ordinary user.
.PHONY: check-rootless
check-rootless: check-build
	VARIANT=$(VARIANT) test/rootless $(SUITES)

# scripts/demo and scripts/check in a Debian with nothing but apt, twice each.
.PHONY: bare-check
bare-check:
	test/bare/run

.PHONY: fmt fmt-check analyze
fmt:
	scripts/format
fmt-check:
	scripts/format check
analyze: $(PB_SRC)
	scripts/analyze

# The programs find cleat-shim beside themselves; containerd finds its shim on the PATH by name; the units
# name the programs where they are installed (PREFIX=/usr/local and /usr are places where systemd looks).
UNIT_DIR := $(PREFIX)/lib/systemd/system
MAN_DIRS := $(addprefix share/man/man,1 3 5 8)
# where Debian's shells look; its zsh has one folder for packages, and another below /usr/local
BASH_DIR := $(PREFIX)/share/bash-completion/completions
ZSH_DIR  := $(PREFIX)/share/zsh/$(if $(filter /usr,$(PREFIX)),vendor-completions,site-functions)
.PHONY: install
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(UNIT_DIR)
	install -m 0755 $(BIN)/cleat $(BIN)/cleat-shim $(CLEATD) $(DESTDIR)$(PREFIX)/bin/
	for unit in $(UNITS); do \
		sed 's|@bindir@|$(PREFIX)/bin|g' supervisor/systemd/$$unit.in >$(DESTDIR)$(UNIT_DIR)/$$unit && \
			chmod 0644 $(DESTDIR)$(UNIT_DIR)/$$unit || exit; \
	done
	for name in $(DROP_INS); do ln -sf cleat-shim $(DESTDIR)$(PREFIX)/bin/$$name || exit; done
	install -d $(addprefix $(DESTDIR)$(PREFIX)/,include lib/pkgconfig $(MAN_DIRS))
	install -m 0644 common/cleat.h $(DESTDIR)$(PREFIX)/include/
	install -m 0644 $(LIBRARY) $(DESTDIR)$(PREFIX)/lib/
	ln -sf libcleat.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libcleat.so.0
	ln -sf libcleat.so.0 $(DESTDIR)$(PREFIX)/lib/libcleat.so
	sed 's|@prefix@|$(PREFIX)|; s|@version@|$(VERSION)|' common/cleat.pc.in \
		>$(DESTDIR)$(PREFIX)/lib/pkgconfig/cleat.pc
	for page in $(MAN); do \
		install -m 0644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/ || exit; \
	done
	install -d $(DESTDIR)$(BASH_DIR) $(DESTDIR)$(ZSH_DIR)
	$(BIN)/cleat completion bash >$(DESTDIR)$(BASH_DIR)/cleat
	$(BIN)/cleat completion zsh >$(DESTDIR)$(ZSH_DIR)/_cleat
	chmod 0644 $(DESTDIR)$(BASH_DIR)/cleat $(DESTDIR)$(ZSH_DIR)/_cleat

# test/soak/test_churn: random calls from clients that are killed, beside a model
CHURN := $(call obj,$(wildcard test/soak/*.c))
$(O)/test/soak/test_churn: $(CHURN) $(BED) $(O)/libshim.a $(O)/libcommon.a $(O)/libproto.a
	$(CC) $(LDFLAGS_ALL) -pie $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS) -lcmocka

soak: check-build $(O)/test/soak/test_churn
	VARIANT=$(VARIANT) test/soak/run

# test/soak/many: a thousand containers under one cleatd; test/soak/clients: two hundred clients of one
CROWD := $(call obj,$(wildcard test/soak/crowd/*.c))
$(O)/test/soak/crowd/crowd: $(CROWD) $(O)/libcommon.a $(O)/libproto.a
	$(CC) $(LDFLAGS_ALL) -pie $(LDFLAGS) -o $@ $^ $(LIBS)

.PHONY: soak-many soak-clients
soak-many: all test-tools
	test/soak/many
soak-clients: all test-tools $(O)/test/soak/crowd/crowd
	VARIANT=$(VARIANT) test/soak/clients

# --- bench ---
$(O)/test/bench/%: $(O)/test/bench/%.o $(O)/libcommon.a $(O)/libproto.a
	$(CC) $(LDFLAGS_ALL) -pie $(LDFLAGS) -o $@ $^ $(LIBS)

bench: all $(O)/test/bench/sink $(O)/test/bench/rpc
	test/bench/run

# --- fuzzers: test/fuzz/fuzz_X.c over test/fuzz/corpus/fuzz_X; what is found new is kept in build/ ---
# FUZZ_SECONDS is for all of them together.
FUZZERS      := $(patsubst test/fuzz/%.c,%,$(wildcard test/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60

build/fuzz/fuzz_%: build/fuzz/test/fuzz/fuzz_%.o build/fuzz/libcli.a build/fuzz/libsupervisor.a \
		build/fuzz/libshim.a build/fuzz/libcommon.a build/fuzz/libproto.a
	$(CC) $(LDFLAGS_ALL) -fsanitize=fuzzer -pie $(LDFLAGS) -o $@ $^ $(LIBS) $(SYSTEMD_LIBS)
.PRECIOUS: build/fuzz/test/fuzz/%.o

.PHONY: fuzz fuzz-build
fuzz-build: $(addprefix build/fuzz/,$(FUZZERS))
fuzz:
	$(MAKE) VARIANT=fuzz fuzz-build
	test/fuzz/run $(FUZZ_SECONDS) $(FUZZERS)

# --- tests: the multi-tool and the scripted runtime of test/fault ---
# Plain static programs whatever VARIANT is, always in the same place: they run inside containers,
# as process 1, without the libraries that sanitizers and valgrind want.
TEST_CC       := gcc
TEST_BIN      := build/test
TEST_CFLAGS   := -std=gnu11 -O2 -g -fno-common -MMD -MP -fstack-protector-strong -D_FORTIFY_SOURCE=2
TEST_PROGRAMS := $(TEST_BIN)/tool $(TEST_BIN)/fake-runtime
test_obj       = $(patsubst test/fault/%.c,$(TEST_BIN)/obj/%.o,$(wildcard $(1)))

.PHONY: test-tools
test-tools: $(TEST_PROGRAMS)

$(TEST_BIN)/obj/%.o: test/fault/%.c Makefile
	@mkdir -p $(@D)
	$(TEST_CC) -D_GNU_SOURCE -I. $(TEST_CFLAGS) $(WARN) -c -o $@ $<

$(TEST_BIN)/tool: $(call test_obj,test/fault/tool*.c) $(TEST_BIN)/obj/util.o
	$(TEST_CC) -static -o $@ $^

$(TEST_BIN)/fake-runtime: $(call test_obj,test/fault/fake*.c) $(TEST_BIN)/obj/util.o
	$(TEST_CC) -static -o $@ $^ -ljansson

-include $(wildcard $(TEST_BIN)/obj/*.d)

.PHONY: clean
clean:
	rm -rf build

-include $(shell find $(O) -name '*.d' 2>/dev/null)
