#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# libcleat as others get it: installed, found by pkg-config, linked both ways, and seen from outside.
# shellcheck disable=SC2154 # stderr and the like are set by `run` of bats

load lib

setup() {
	cleat_setup
	SOURCE=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
	USR=$T/work/usr
	make -C "$SOURCE" -j1 --no-print-directory VARIANT="${VARIANT:-release}" PREFIX="$USR" install \
		>"$T/make.out" 2>&1 </dev/null 3>&- || { cat "$T/make.out"; return 1; }
	export PKG_CONFIG_PATH=$USR/lib/pkgconfig
}

teardown() {
	cleat_teardown
}

# build NAME PKG-CONFIG-OPTION... -- FLAG...: the example
build() {
	local name=$1 options=()
	shift
	while [[ $1 != -- ]]; do options+=("$1"); shift; done
	shift
	# shellcheck disable=SC2046 # words of a command line
	gcc -Wall -Wextra -Werror -o "$T/work/$name" "$SOURCE/test/example/run.c" "$@" \
		$(pkg-config "${options[@]}" --cflags --libs cleat) 3>&-
}

run_example() { # NAME
	make_bundle "$BUNDLE" '.process.args = ["/bin/tool", "seq", "args", "hello", "--", "exit", "7"]'
	run --separate-stderr env LD_LIBRARY_PATH="$USR/lib" PATH="$USR/bin:$PATH" "$T/work/$1" "$BUNDLE" \
		"$ID" "$ROOT" </dev/null 3>&-
	assert_equal "$stderr" ""
	assert_equal "$output" hello
	assert_status 7
	run cleat list -q
	assert_equal "$output" ""
}

@test "the example, with the shared library" {
	lacks runsc "needs options that the example does not give"
	build shared --print-errors -- -g
	assert_match "$(LD_LIBRARY_PATH=$USR/lib ldd "$T/work/shared")" "libcleat.so.0 => $USR/lib/libcleat.so.0"
	run_example shared
}

@test "the example, with the static library" {
	lacks runsc "needs options that the example does not give"
	rm "$USR"/lib/libcleat.so*
	build static --static -- -g
	run_example static
}

@test "what the libraries show is what the header declares, and no more" {
	grep -oE '\<cleat_[a-z_]+\(' "$USR/include/cleat.h" | tr -d '(' | sort -u >"$T/declared"
	nm -D --defined-only "$USR"/lib/libcleat.so.0.* | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
		sort >"$T/shared"
	nm -g --defined-only "$USR/lib/libcleat.a" | awk 'NF == 3 { print $3 }' | sort >"$T/static"
	# comments name some functions, too: all of them are declared
	run diff "$T/declared" "$T/shared"
	assert_equal "$output" ""
	run diff "$T/shared" "$T/static"
	assert_equal "$output" ""
	assert_match "$(readelf -d "$USR"/lib/libcleat.so.0)" 'SONAME.*\[libcleat\.so\.0\]'
}

@test "the header stands alone, in C and in C++" {
	echo '#include <cleat.h>' >"$T/alone.c"
	gcc -std=c11 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$USR/include" "$T/alone.c"
	if command -v clang >/dev/null; then
		cat >"$T/alone.cc" <<-'END'
			#include <cleat.h>
			cleat_client_options client = CLEAT_CLIENT_OPTIONS_INIT;
			cleat_create_options create = CLEAT_CREATE_OPTIONS_INIT;
			cleat_error error = CLEAT_ERROR_INIT;
			int open(cleat_client **ret) { return cleat_client_open(&client, ret, &error); }
		END
		clang -x c++ -std=c++11 -pedantic -Wall -Wextra -Werror -fsyntax-only -I"$USR/include" "$T/alone.cc"
	fi
}

@test "each function of the header that a page is named after has one" {
	local page
	for page in libcleat cleat_client_open cleat_process cleat_wait_begin; do
		[[ -s $USR/share/man/man3/$page.3 ]] || { echo "$page"; return 1; }
	done
}
