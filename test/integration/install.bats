#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What `make install` puts where: below DESTDIR and PREFIX and nowhere else, and it works from there.

load lib

setup() {
	cleat_setup
	SOURCE=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
}

teardown() {
	cleat_teardown
}

# The programs are those under test, which are built: nothing is made anew.
install_to() { # VARIABLE=VALUE...
	make -C "$SOURCE" -j1 --no-print-directory VARIANT="${VARIANT:-release}" "$@" install \
		>"$T/make.out" 2>&1 </dev/null 3>&- || { cat "$T/make.out"; return 1; }
}

# One of section 1 for each command (integration/manual), and its front page.
man_pages() {
	(cd "$SOURCE/supervisor/man" && printf 'dest/opt/cleat/share/man/man1/%s f644\n' *.1.scd) |
		sed 's/\.scd / /' | LC_ALL=C sort
}

@test "programs and units below DESTDIR and PREFIX, and nothing else" {
	local cleatd=''

	install_to DESTDIR="$T/work/dest" PREFIX=/opt/cleat
	[[ ! -e $SOURCE/supervisor/main.c ]] || cleatd='
dest/opt/cleat/bin/cleatd f755'
	assert_equal "$(find "$T/work" -mindepth 1 ! -type d -printf '%P %y%m,' | tr , '\n' | LC_ALL=C sort)" \
		"dest/opt/cleat/bin/cleat f755
dest/opt/cleat/bin/cleat-shim f755$cleatd
dest/opt/cleat/bin/containerd-shim-cleat-v2 l777
dest/opt/cleat/bin/containerd-shim-runc-cleat l777
dest/opt/cleat/include/cleat.h f644
dest/opt/cleat/lib/libcleat.a f644
dest/opt/cleat/lib/libcleat.so l777
dest/opt/cleat/lib/libcleat.so.0 l777
dest/opt/cleat/lib/libcleat.so.0.1.0 f644
dest/opt/cleat/lib/pkgconfig/cleat.pc f644
dest/opt/cleat/lib/systemd/system/cleat-containers.service f644
dest/opt/cleat/lib/systemd/system/cleat@.service f644
dest/opt/cleat/lib/systemd/system/cleatd.service f644
dest/opt/cleat/lib/systemd/system/cleatd.socket f644
dest/opt/cleat/share/bash-completion/completions/cleat f644
$(man_pages)
dest/opt/cleat/share/man/man3/cleat_client_open.3 f644
dest/opt/cleat/share/man/man3/cleat_process.3 f644
dest/opt/cleat/share/man/man3/cleat_wait_begin.3 f644
dest/opt/cleat/share/man/man3/libcleat.3 f644
dest/opt/cleat/share/man/man5/cleat-runtimes.json.5 f644
dest/opt/cleat/share/man/man5/cleatd.json.5 f644
dest/opt/cleat/share/man/man8/cleat-shim.8 f644
dest/opt/cleat/share/man/man8/cleatd.8 f644
dest/opt/cleat/share/zsh/site-functions/_cleat f644"
	# twice is no more than once
	install_to DESTDIR="$T/work/dest" PREFIX=/opt/cleat
	assert_equal "$(find "$T/work/dest/opt/cleat/bin" -type l -printf '%l\n')" "cleat-shim
cleat-shim"
}

@test "shells find their completion, and what it says" {
	install_to DESTDIR="$T/work/dest" PREFIX=/usr
	assert_equal "$(cat "$T/work/dest/usr/share/bash-completion/completions/cleat")" "$("$CLEAT" completion bash)"
	assert_equal "$(cat "$T/work/dest/usr/share/zsh/vendor-completions/_cleat")" "$("$CLEAT" completion zsh)"
}

@test "what is installed finds its own shim, and runs" {
	needs_way direct -- "it is not this cleat that starts the shim"
	lacks runsc "is called with options that a runtimes.json of the build's tests has"
	install_to PREFIX="$T/work/usr"
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "exit", "6"]'
	# nothing of ours is on this PATH, and the working directory is another
	cd /
	run env PATH=/usr/sbin:/usr/bin:/sbin:/bin "$T/work/usr/bin/cleat" --root "$ROOT" \
		--runtime "$RUNTIME" run --bundle "$BUNDLE" "$ID" </dev/null 3>&-
	assert_status 6
	assert_equal "$(readlink -f "/proc/$(cleat state "$ID" | jq .shim_pid)/exe")" \
		"$T/work/usr/bin/cleat-shim"
	cleat delete "$ID"
	assert_match "$("$T/work/usr/bin/containerd-shim-cleat-v2" -v)" "cleat"
}

# systemd's own words, as far as it has any: of a program that is not there it would say so
@test "systemd finds nothing wrong with the units" {
	local units=$T/work/usr/lib/systemd/system unit

	command -v systemd-analyze >/dev/null || skip "there is no systemd-analyze"
	install_to PREFIX="$T/work/usr"
	[[ -e $T/work/usr/bin/cleatd ]] || cp "$T/work/usr/bin/cleat" "$T/work/usr/bin/cleatd"
	for unit in cleatd.service cleatd.socket cleat-containers.service cleat@web.service; do
		run systemd-analyze verify "$units/$unit"
		assert_status 0
		assert_equal "$output" ""
	done
	# each program that they name is one that was installed
	assert_equal "$(grep -hoE '/[^ =]*bin/[^ ]*' "$units"/cleat* | LC_ALL=C sort -u)" "/bin/kill
/bin/sh
/bin/true
$T/work/usr/bin/cleat
$T/work/usr/bin/cleatd"
	# what it calls the exposure, for who reads the log: why it is what it is stands in the unit
	systemd-analyze security --offline=yes "$units/cleatd.service" | tail -n 1 | sed 's/^/# /' >&3 || true
}

@test "neither a mount namespace nor a filter is set about shims, which would outlast it" {
	run grep -hE "^(Protect|Private|Restrict|SystemCall|NoNewPriv|Capab|ReadOnly|Inacc|Limit|UMask|OOMScore)" \
		"$SOURCE"/supervisor/systemd/*.service.in
	assert_equal "$output" ""
	assert_equal "$(grep -h '^KillMode=' "$SOURCE"/supervisor/systemd/cleatd.service.in)" KillMode=process
}
