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

@test "four names below DESTDIR and PREFIX, and nothing else" {
	install_to DESTDIR="$T/work/dest" PREFIX=/opt/cleat
	assert_equal "$(find "$T/work" -mindepth 1 ! -type d -printf '%P %y%m,' | tr , '\n' | sort)" \
		"dest/opt/cleat/bin/cleat f755
dest/opt/cleat/bin/cleat-shim f755
dest/opt/cleat/bin/containerd-shim-cleat-v2 l777
dest/opt/cleat/bin/containerd-shim-runc-cleat l777"
	# twice is no more than once
	install_to DESTDIR="$T/work/dest" PREFIX=/opt/cleat
	assert_equal "$(find "$T/work" -type l -printf '%l\n')" "cleat-shim
cleat-shim"
}

@test "what is installed finds its own shim, and runs" {
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
